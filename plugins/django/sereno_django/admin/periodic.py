"""Periodic tasks: the list, and the form that the client checks and saves."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import DateTimeField, TextField
from django.db.models.expressions import RawSQL
from django.http import HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from sereno import SerenoError
from sereno_django.admin.cells import breakable, instant
from sereno_django.admin.form import PeriodicTaskForm
from sereno_django.clients import client_for
from sereno_django.models import PeriodicTask

_TRIGGER = (
    "(SELECT v.trigger FROM sereno.schedule_version v WHERE v.schedule_id = schedule.id"
    " ORDER BY v.version DESC LIMIT 1)"
)
_NEXT = "(SELECT w.next_slot FROM sereno.watermark w WHERE w.schedule_id = schedule.id)"


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(admin.ModelAdmin):
    """Schedules; a declared one can be changed and paused, one of a person's removed as well."""

    form = PeriodicTaskForm
    list_display = ("shown_name", "of_job", "enabled", "trigger", "next_slot", "origin")
    list_filter = ("state", "origin")
    search_fields = ("name", "job", "declared", "overrides")
    actions = ("enable_selected", "disable_selected")
    fieldsets = (
        (None, {"fields": ("title", "task", "enabled", "params")}),
        (_("Interval"), {"fields": (("every", "period"),)}),
        (
            _("Crontab"),
            {
                "fields": (
                    ("minute", "hour", "day_of_week", "day_of_month", "month_of_year"),
                    "timezone",
                )
            },
        ),
        (_("Solar"), {"fields": (("solar", "latitude", "longitude"),)}),
        (_("Clocked"), {"fields": ("clocked",)}),
        (_("Other kinds of trigger"), {"fields": ("other",), "classes": ("collapse",)}),
        (_("Bounds"), {"fields": ("start", "expires", "one_off")}),
    )

    class Media:
        """What Django's styles leave to be said."""

        css = {"all": ("sereno_django/admin.css",)}

    def get_queryset(self, request: Any) -> Any:
        """Leave out what was removed; have trigger and next slot at hand."""
        return (
            super()
            .get_queryset(request)
            .exclude(state="removed")
            .annotate(
                newest_trigger=RawSQL(_TRIGGER, (), output_field=TextField()),  # noqa: S611 - constants
                coming=RawSQL(_NEXT, (), output_field=DateTimeField()),  # noqa: S611
            )
        )

    @admin.display(description=_("name"), ordering="name")
    def shown_name(self, task: PeriodicTask) -> str:
        """Its title, else its name."""
        return str(task)

    @admin.display(description=_("task"), ordering="job")
    def of_job(self, task: PeriodicTask) -> Any:
        """What it runs."""
        return breakable(task.job)

    @admin.display(description=_("enabled"), boolean=True)
    def enabled(self, task: PeriodicTask) -> bool:
        """Whether it fires."""
        return bool(task.state == "active")

    @admin.display(description=_("schedule"))
    def trigger(self, task: Any) -> str:
        """When it is due."""
        return str(task.newest_trigger)

    @admin.display(description=_("next"))
    def next_slot(self, task: Any) -> Any:
        """When it is due next."""
        return instant(task.coming)

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form, which asks as the user."""
        kwargs["fields"] = []
        return type("Form", (PeriodicTaskForm,), {"user": request.user, "existing": obj})

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        """Return all fields of the form."""
        return self.fieldsets

    def changeform_view(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Show the form; what the client refuses at last is said there."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except SerenoError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_form(self, request: Any, form: Any, change: bool) -> Any:
        """Return the object; the form has written it."""
        return form.instance

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        """Take over what the form has had the client write: validated, and in the trail."""
        written = PeriodicTask.objects.get(name=form.written)
        obj.pk, obj.name, obj.declared, obj.overrides = (
            *(written.pk, written.name),
            *(written.declared, written.overrides),
        )

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:
        """Nothing is related."""

    def construct_change_message(
        self, request: Any, form: Any, formsets: Any, add: Any = False
    ) -> Any:
        """Return what was changed, for Django's own history."""
        return [{"added" if add else "changed": {}}]

    def delete_model(self, request: Any, obj: Any) -> None:
        """Remove it by the client; its history stays."""
        with client_for(request.user) as client:
            client.remove_schedule(obj.name)

    def delete_queryset(self, request: Any, queryset: Any) -> None:
        """Remove each by the client."""
        with client_for(request.user) as client:
            for each in queryset:
                client.remove_schedule(each.name)

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Return whether it is a person's: what code declares is disabled instead."""
        mine = obj is None or obj.origin == "user" or obj.state == "orphaned"
        return mine and bool(super().has_delete_permission(request, obj))

    @admin.action(description=_("Enable selected periodic tasks"), permissions=["change"])
    def enable_selected(self, request: Any, queryset: Any) -> None:
        """Resume each."""
        with client_for(request.user) as client:
            client.resume([each.name for each in queryset])

    @admin.action(description=_("Disable selected periodic tasks"), permissions=["change"])
    def disable_selected(self, request: Any, queryset: Any) -> None:
        """Pause each."""
        with client_for(request.user) as client:
            client.pause([each.name for each in queryset])
