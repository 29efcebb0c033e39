"""The form of a periodic task: one kind of schedule, checked by the client as one saves."""

import re
import unicodedata
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib.admin.widgets import (
    AdminDateWidget,
    AdminSplitDateTime,
    AdminTextInputWidget,
    AdminTimeWidget,
)
from django.core.exceptions import ValidationError
from django.utils.text import capfirst, format_lazy
from django.utils.translation import gettext_lazy as _

from sereno import SerenoError
from sereno_django.clients import client_for
from sereno_django.models import PeriodicTask

PERIODS = (*(("s", _("seconds")), ("m", _("minutes")), ("h", _("hours")), ("d", _("days"))),)
SUN = tuple((event, event) for event in ("", "dawn", "sunrise", "noon", "sunset", "dusk"))
CRON = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_EVERY = re.compile(r"every (\d+)([smhd])")
_CRON = re.compile(r"cron (\S+) (\S+) (\S+) (\S+) (\S+)(?: (?:tz=)?([A-Za-z][\w/+-]*))?")
_SUN = re.compile(r"sun (\w+) (\S+) (\S+)")
_ONCE = re.compile(r"once (\S+)")


def _field(size: int = 8, **given: Any) -> forms.CharField:
    return forms.CharField(required=False, widget=forms.TextInput(attrs={"size": size}), **given)


class _DateAndTime(AdminSplitDateTime):
    """Django's own, whose two inputs say of what they are the date and the time."""

    def __init__(self, label: Any) -> None:
        date = AdminDateWidget(attrs={"aria-label": format_lazy("{}: {}", label, _("date"))})
        time = AdminTimeWidget(attrs={"aria-label": format_lazy("{}: {}", label, _("time"))})
        forms.MultiWidget.__init__(self, [date, time])


def _when(label: Any) -> forms.SplitDateTimeField:
    return forms.SplitDateTimeField(label=label, required=False, widget=_DateAndTime(label))


class PeriodicTaskForm(forms.ModelForm):
    """What the form of django-celery-beat has, for a schedule of Sereno's."""

    user: Any = None
    existing: Any = None
    written = ""

    title = forms.CharField(label=_("name"), max_length=200, widget=AdminTextInputWidget)
    task = forms.ChoiceField(label=_("task"))
    enabled = forms.BooleanField(label=_("enabled"), required=False, initial=True)
    params = forms.JSONField(
        label=_("params"), required=False, initial=dict, widget=forms.Textarea({"rows": 4})
    )
    every = forms.IntegerField(label=_("every"), required=False, min_value=1)
    period = forms.ChoiceField(label=_("period"), choices=PERIODS, required=False, initial="m")
    minute = _field(label=_("minute"))
    hour = _field(label=_("hour"))
    day_of_month = _field(label=_("day of month"))
    month_of_year = _field(label=_("month"))
    day_of_week = _field(label=_("day of week"))
    timezone = _field(30, label=_("time zone"))
    solar = forms.ChoiceField(label=_("event of the sun"), choices=SUN, required=False)
    latitude = forms.FloatField(label=_("latitude"), required=False)
    longitude = forms.FloatField(label=_("longitude"), required=False)
    clocked = _when(_("once at"))
    other = _field(60, label=_("trigger, as text"))
    start = _when(_("start"))
    expires = _when(_("expires"))
    one_off = forms.BooleanField(label=_("one-off task"), required=False)

    class Meta:
        """Every field is the form's own."""

        model = PeriodicTask
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        initial = kwargs.setdefault("initial", {})
        if self.existing is not None:
            kwargs["initial"] = {**shown(self.existing), **initial}
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(field.label)
        with client_for(self.user) as client:
            jobs = [(job.name, job.title or job.name) for job in client.jobs() if job.present]
        self.fields["task"].choices = [(name, _labelled(name, title)) for name, title in jobs]
        self.fields["timezone"].initial = settings.TIME_ZONE
        if self.existing is not None:
            self.fields["task"].disabled = True
            self.initial["task"] = self.existing.job

    def clean(self) -> dict[str, Any]:
        """Make the trigger of the one kind that is filled in, and have the client write it.

        It is written here, where what the client refuses can still be said beside what was typed:
        params that do not fit, slots closer together than the task allows.
        """
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return found
        found["trigger"] = trigger_of(found)
        try:
            with client_for(self.user) as client:
                self.written = self.write(client)
        except SerenoError as error:
            raise ValidationError(str(error)) from error
        return found

    def _post_clean(self) -> None:
        """Nothing of the model is checked: the client has."""

    def write(self, client: Any) -> str:
        """Add or change the schedule, pause or resume it; return its name."""
        given = self.cleaned_data
        said = {
            **{"params": given["params"] or {}, "title": given["title"]},
            **{"start": given["start"], "end": given["expires"], "one_off": given["one_off"]},
        }
        if self.existing is None:
            label = _label(given["title"])
            name = client.add_schedule(
                given["task"], given["trigger"], label=label, **said
            ).schedule
            paused = False
        else:
            name, paused = self.existing.name, self.existing.state == "paused"
            client.change_schedule(name, trigger=given["trigger"], **said)
        if given["enabled"] and paused:
            client.resume([name])
        elif not given["enabled"] and not paused:
            client.pause([name], reason=str(_("disabled in the admin")))
        return str(name)


def trigger_of(given: dict[str, Any]) -> str:
    """Return the text of the trigger; raises ValidationError unless one kind is filled in."""
    kinds = []
    if given.get("every"):
        kinds.append(f"every {given['every']}{given['period'] or 'm'}")
    fields = [given.get(name) or "" for name in CRON]
    if any(fields):
        zone = f" tz={given['timezone']}" if given.get("timezone") else ""
        kinds.append(f"cron {' '.join(field.replace(' ', '') or '*' for field in fields)}{zone}")
    if given.get("solar"):
        if given.get("latitude") is None or given.get("longitude") is None:
            raise ValidationError(_("An event of the sun needs a latitude and a longitude."))
        kinds.append(f"sun {given['solar']} {given['latitude']} {given['longitude']}")
    if given.get("clocked"):
        kinds.append(f"once {given['clocked'].isoformat()}")
    if given.get("other"):
        kinds.append(given["other"])
    if len(kinds) != 1:
        raise ValidationError(
            _("Fill in one of interval, crontab, solar, clocked: these are %(count)d."),
            params={"count": len(kinds)},
        )
    return str(kinds[0])


def shown(task: Any) -> dict[str, Any]:
    """Return what the form shows of a schedule as it stands."""
    found: dict[str, Any] = {
        "title": task.title or task.name,
        "enabled": task.state != "paused",
        "params": task.part("params", {}),
        "start": _instant(task.part("start")),
        "expires": _instant(task.part("end")),
        "one_off": bool(task.part("one_off", False)),
        "timezone": settings.TIME_ZONE,
    }
    text = str(task.newest_trigger)
    if every := _EVERY.fullmatch(text):
        return found | {"every": int(every[1]), "period": every[2]}
    if cron := _CRON.fullmatch(text):
        found |= dict(zip(CRON, cron.groups()[:5], strict=True))
        return found | {"timezone": cron[6] or settings.TIME_ZONE}
    if sun := _SUN.fullmatch(text):
        return found | {"solar": sun[1], "latitude": sun[2], "longitude": sun[3]}
    if once := _ONCE.fullmatch(text):
        return found | {"clocked": _instant(once[1])}
    return found | {"other": text}


def _instant(text: Any) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(str(text))
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo("UTC"))


def _label(title: str) -> str:
    """Return a schedule's label from what people call it: letters, digits and dashes."""
    plain = re.sub(r"[^a-z0-9]+", "-", _ascii(title).lower()).strip("-")
    return plain[:60].strip("-") or "admin"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _labelled(name: str, title: str) -> str:
    return name if title == name else f"{title} ({name})"
