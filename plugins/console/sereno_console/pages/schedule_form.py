"""The form of a schedule: written from one that stands, and read back, with what is refused beside
its field."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sereno import (
    ParamsError,
    ScheduleSpec,
    TriggerError,
    except_on,
    find_zone,
    format_duration,
    parse,
    parse_duration,
)
from sereno_console.pages.params_form import params_given

KINDS = ("interval", "crontab", "solar", "clocked", "text")
UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
UNITS |= {"d": timedelta(days=1)}
EVENTS = ("dawn", "sunrise", "noon", "sunset", "dusk")
CRONTAB = ("minute", "hour", "day", "month", "weekday")
POLICIES: dict[str, tuple[str, ...]] = {
    "overlap": ("skip", "queue", "allow", "cancel_previous"),
    "catch_up": ("last", "none", "all"),
    "grace": (),
    "start_by": (),
    "timeout": (),
    "priority": (),
}
"""Policies that the form has, with what may be chosen; others stay as they are."""

_DURATIONS = ("grace", "start_by", "timeout")
_MASK = "***"
_EXCEPT = re.compile(r"except_on \((.*)\) calendar=(\S+) tz=(\S+)")
_INTERVAL = re.compile(r"every (\S+)")
_SOLAR = re.compile(r"sun (\w+) (\S+) (\S+)(?: offset=(\S+))?")
_FIVE = re.compile(r"cron (\S+) (\S+) (\S+) (\S+) (\S+) (\S+)")
_PLAIN = {"kind": "crontab", "every": "1", "unit": "h", "event": "sunset", "offset": "", "at": ""}
_PLAIN |= {"minute": "0", "hour": "8", "day": "*", "month": "*", "weekday": "*"}
_PLAIN |= {"latitude": "", "longitude": "", "trigger": ""}


class FilledForm(msgspec.Struct, kw_only=True):
    """What a filled form says. `faults`: what is refused, by the field beside which it is told."""

    trigger: str | None = None
    params: dict[str, Any] = {}
    start: datetime | None = None
    end: datetime | None = None
    jitter: str | None = None
    policies: dict[str, Any] = {}
    title: str = ""
    tags: tuple[str, ...] = ()
    one_off: bool = False
    at_start: bool = False
    faults: dict[str, str] = {}


def written(spec: ScheduleSpec | None, zone: str) -> dict[str, str]:
    """Return the fields of the form for a schedule as it stands, None: of a new one; instants as
    `zone` shows them."""
    if spec is None:
        blank = dict.fromkeys(("title", "tags", "start", "end", "jitter"), "")
        return {**_PLAIN, **blank, "zone": zone, "shown_zone": zone}
    found = {**_PLAIN, "zone": zone, "shown_zone": zone, **_trigger_fields(spec.trigger, zone)}
    found |= {"title": spec.title, "tags": ", ".join(spec.tags)}
    found |= {"start": _local(spec.starts_at, zone), "end": _local(spec.ends_at, zone)}
    found["jitter"] = ""
    if spec.jitter:
        sign = "±" if spec.jitter < timedelta(0) else ""
        found["jitter"] = sign + format_duration(abs(spec.jitter))
    for name in ("one_off", "at_start"):
        found |= {name: "on"} if getattr(spec, name) else {}
    for name in POLICIES:
        found[f"policy.{name}"] = _policy_text(name, spec.policies.get(name))
    return found


def _trigger_fields(text: str, zone: str) -> dict[str, str]:
    text = parse(text).text
    found: dict[str, str] = {}
    if wrapped := _EXCEPT.fullmatch(text):
        text = wrapped[1]
        found |= {f"except.{name}": "on" for name in wrapped[2].split(",")} | {"zone": wrapped[3]}
    if interval := _INTERVAL.fullmatch(text):
        every = parse_duration(interval[1])
        unit = next((u for u in ("d", "h", "m", "s") if not every % UNITS[u]), None)
        if unit is not None:
            return found | {"kind": "interval", "every": str(every // UNITS[unit]), "unit": unit}
    if (five := _FIVE.fullmatch(text)) and "=" not in text:
        fields = dict(zip(CRONTAB, five.groups()[:5], strict=True))
        return {**found, "kind": "crontab", **fields, "zone": five[6]}
    if solar := _SOLAR.fullmatch(text):
        event, latitude, longitude, offset = solar.groups()
        place = {"latitude": latitude, "longitude": longitude}
        return {**found, "kind": "solar", "event": event, **place, "offset": offset or ""}
    kind, _, rest = text.partition(" ")
    if kind == "once":
        at = _local(datetime.fromisoformat(rest), zone)
        return {"zone": zone, **found, "kind": "clocked", "at": at}
    return found | {"kind": "text", "trigger": text}


def _local(instant: datetime | None, zone: str) -> str:
    if instant is None:
        return ""
    return instant.astimezone(find_zone(zone)).replace(tzinfo=None).isoformat(timespec="seconds")


def _policy_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _DURATIONS and isinstance(value, str):
        try:
            return format_duration(msgspec.convert(value, timedelta))
        except msgspec.ValidationError:
            return value
    return str(value)


def read_form(given: Mapping[str, str], takes: Mapping[str, Any] | None) -> FilledForm:
    """Return what a filled form says."""
    found = FilledForm(faults={})
    found.title = given.get("title", "").strip()
    found.tags = tuple(t.strip() for t in given.get("tags", "").split(",") if t.strip())
    found.one_off, found.at_start = given.get("one_off") == "on", given.get("at_start") == "on"
    found.jitter = given.get("jitter", "").strip() or None
    try:
        parse_duration((found.jitter or "0s").removeprefix("±"))
    except TriggerError as error:
        found.faults["jitter"] = str(error)
    try:
        found.trigger = trigger_of(given)
    except TriggerError as error:
        found.faults["trigger"] = str(error)
    for name in ("start", "end"):
        try:
            setattr(found, name, _instant(given.get(name, ""), given.get("shown_zone", "UTC")))
        except (TriggerError, ValueError, OverflowError):
            found.faults[name] = f"{given[name][:40]!r} is no instant, as 2026-11-29T18:00"
    try:
        found.params = params_given(takes, given)
    except ParamsError as error:
        found.faults["params"] = str(error)
    for name in POLICIES:
        text = given.get(f"policy.{name}", "").strip()
        if text:
            found.policies[name] = int(text) if re.fullmatch(r"-?\d{1,9}", text) else text
    return found


def trigger_of(given: Mapping[str, str]) -> str:
    """Return the text of the trigger that a filled form says; raises TriggerError."""
    kind = given.get("kind", "text")
    zone = given.get("zone", "").strip() or "UTC"
    words = {name: " ".join(given.get(name, "").split()) for name in _PLAIN}
    if kind == "interval":
        text = f"every {words['every']}{words['unit']}"
    elif kind == "crontab":
        for name in CRONTAB:
            if not words[name] or " " in words[name]:
                raise TriggerError(
                    f"{name} is {words[name][:40]!r}, it must be one word, as * or 5"
                )
        text = f"cron {' '.join(words[name] for name in CRONTAB)} {zone}"
    elif kind == "solar":
        offset = f" offset={words['offset']}" if words["offset"] else ""
        text = f"sun {words['event']} {words['latitude']} {words['longitude']}{offset}"
    elif kind == "clocked":
        text = f"once {words['at']} {zone}"
    else:
        text = given.get("trigger", "").strip()
    trigger = parse(text)
    names = sorted(n.removeprefix("except.") for n in given if n.startswith("except."))
    if names:
        trigger = except_on(trigger, calendar=names, tz=trigger.zone or zone)
    return trigger.text


def _instant(text: str, zone: str) -> datetime | None:
    if not text.strip():
        return None
    found = datetime.fromisoformat(text.strip())
    return (found if found.tzinfo else found.replace(tzinfo=find_zone(zone))).astimezone(UTC)


def changes_of(
    wanted: FilledForm,
    given: Mapping[str, str],
    standing: ScheduleSpec,
    takes: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return what `change_schedule` is to be told: the parts alone that are another than they
    stand. Raises ParamsError where a param cannot be taken away."""
    before = written(standing, given.get("shown_zone", "UTC"))
    found: dict[str, Any] = {}
    if wanted.trigger is not None and wanted.trigger != parse(standing.trigger).text:
        found["trigger"] = wanted.trigger
    for name in ("start", "end", "jitter", "title"):
        if given.get(name, "").strip() != before[name]:
            found[name] = getattr(wanted, name)
    if {*wanted.tags} != {*standing.tags}:
        found["tags"] = wanted.tags
    for name in ("one_off", "at_start"):
        if getattr(wanted, name) != getattr(standing, name):
            found[name] = getattr(wanted, name)
    found |= _policy_changes(wanted, before, standing)
    if "params" not in wanted.faults:
        found |= _param_changes(wanted, standing, takes)
    resets = found.pop("reset_params", []) + found.pop("reset_policies", [])
    return found | ({"reset": resets} if resets else {})


def _policy_changes(
    wanted: FilledForm, before: Mapping[str, str], standing: ScheduleSpec
) -> dict[str, Any]:
    shown = {name: before[f"policy.{name}"] for name in POLICIES}
    now = {name: str(wanted.policies.get(name, "")) for name in POLICIES}
    if now == shown:
        return {}
    if all(now[name] for name in POLICIES if shown[name]):
        return {"policies": {n: v for n, v in wanted.policies.items() if now[n] != shown[n]}}
    # One is taken away: all go back to what is declared, and what is to stay is laid over again.
    others = {n: v for n, v in standing.policies.items() if n not in POLICIES}
    return {"policies": {**others, **wanted.policies}, "reset_policies": ["policies"]}


def _param_changes(
    wanted: FilledForm, standing: ScheduleSpec, takes: Mapping[str, Any] | None
) -> dict[str, Any]:
    kept = {n: v for n, v in standing.params.items() if v is not None}
    given = {n: v for n, v in wanted.params.items() if v != _MASK or kept.get(n) != _MASK}
    changed = {n: v for n, v in given.items() if n not in kept or kept[n] != v}
    gone = [n for n in kept if n not in wanted.params]
    if takes is not None:  # one that is not there cannot have been taken away by its field
        gone = [n for n in gone if n in takes and kept[n] != ""]
    if not gone:
        return {"params": changed} if changed else {}
    if _MASK in kept.values():
        raise ParamsError(
            f"param '{gone[0]}' cannot be taken away here, as another one is secret; give it a "
            "value, or use `sereno schedule change`"
        )
    return {"params": given, "reset_params": ["params"]}


_OF_MESSAGE = ("label", "title", "tag", "jitter", "start", "end", *POLICIES)


def field_of(error: Exception) -> str:
    """Return beside which field a refusal is told, empty for none."""
    if isinstance(error, TriggerError):
        return "trigger"
    if isinstance(error, ParamsError) or "param" in str(error):
        return "params"
    found = next((n for n in _OF_MESSAGE if re.search(rf"\b{n}\b", str(error))), "")
    return f"policy.{found}" if found in POLICIES else {"tag": "tags"}.get(found, found)
