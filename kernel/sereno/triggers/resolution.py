"""Makes of what a schedule says the version that its slots follow: a pure trigger in a window.

A version says by itself which slots it has, whoever reads it, and when: so a run at the start is a
slot of its own in its trigger, and the end of a one-off is that of its window.
"""

import re
from datetime import datetime

from msgspec.structs import replace

from sereno.model.ledger import ScheduleState, ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.triggers.instant import MICROSECOND, format_instant, parse_instant
from sereno.triggers.jitter import jitter_text
from sereno.triggers.succession import foreseen

_STARTED = re.compile(r"any_of \(once (\S+)\) ")


def resolved(
    spec: ScheduleSpec,
    name: str,
    since: datetime,
    *,
    number: int = 1,
    state: ScheduleState = "active",
    started: datetime | None = None,
) -> ScheduleVersion:
    """Return the version of the schedule `name` that `spec` makes as of `since`.

    `started`: the slot of its start, where an earlier version that said the same had it.
    """
    version = spec.as_version(number, since, state)
    if not spec.at_start:
        return version
    at = started or max(since + MICROSECOND, spec.starts_at or since)
    trigger = spec.trigger
    if spec.jitter is not None:  # which would move the start, too
        trigger = jitter_text(trigger, spec.jitter, name)
    return replace(version, trigger=f"any_of (once {format_instant(at)}) ({trigger})", jitter=None)


def closed(version: ScheduleVersion, name: str) -> ScheduleVersion:
    """Return the version of a one-off with a window that ends behind its first slot."""
    first = foreseen(version, name, version.valid_from)
    return version if first is None else replace(version, ends_at=first + MICROSECOND)


def started(spec: ScheduleSpec, version: ScheduleVersion) -> datetime | None:
    """Return the slot of the start in a version that was made of `spec`."""
    found = _STARTED.match(version.trigger) if spec.at_start else None
    return None if found is None else parse_instant(found[1], None)


def alike(one: ScheduleSpec, other: ScheduleSpec) -> bool:
    """Tell whether both are the same schedule, whatever people call it."""
    return replace(one, title="", tags=()) == replace(other, title="", tags=())


def as_it_stands(spec: ScheduleSpec, name: str, version: ScheduleVersion) -> ScheduleVersion:
    """Return what `spec` makes in the place of `version`, from the same instant on."""
    found = resolved(
        spec,
        name,
        version.valid_from,
        number=version.version,
        state=version.state,
        started=started(spec, version),
    )
    return closed(found, name) if spec.one_off else found


def foretold(spec: ScheduleSpec, name: str, since: datetime) -> ScheduleVersion:
    """Return the version that `spec` would make now, the instant `since`."""
    found = resolved(spec, name, since)
    return closed(found, name) if spec.one_off else found
