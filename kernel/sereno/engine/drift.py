"""Notices when code, configuration, croniter or time zones move the slots that are to come.

With each active schedule its next slots are kept, and one slot of each month of the year ahead, as
they were computed last. What computes others from the same instant has moved them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from sereno.model.drift import Drift, Outlook
from sereno.model.errors import DeclarationError
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import drift as store
from sereno.store.catalogue import BY_CODE
from sereno.store.drift import FIRST, HeldSchedule, Step
from sereno.store.pool import Database
from sereno.store.version import BY_CONFIG, resolve_days
from sereno.triggers.occurrences import next_slot
from sereno.triggers.resolution import as_it_stands
from sereno.triggers.rule_version import rules
from sereno.triggers.step_cache import in_passing

NEXT = 5
MONTHS = 13
_MONTH = timedelta(days=31)
_YOUNG = timedelta(days=1)


async def foresee(db: Database, declared: Mapping[str, ScheduleSpec]) -> list[Drift]:
    """Return what would move if this code led now: `declared` are its schedules, by name.

    Writes nothing. A schedule that `declared` does not name is taken as the database has it.
    """
    found = []
    for held in await store.held_schedules(db):
        version, ours = held.version, declared.get(held.name)
        if ours is not None:
            try:
                effective = ScheduleSpec.from_json(ours.to_json(), held.overrides)
            except DeclarationError:
                continue  # it keeps what it has, and says so when the code leads
            async with db.connection() as connection:
                effective = await resolve_days(connection, effective)
            version = as_it_stands(effective, held.name, version)
        moved = _moved(_as_changed(held), version)
        if moved is not None:
            found.append(_as_of_now(held, version, moved))
    return found


async def notice(
    db: Database, term: int, limit: int, after: Step = FIRST, *, only_kept: bool = False
) -> tuple[list[Drift], Step | None]:
    """Look at schedules after the step `after`, in the order in which they are due.

    What is to come of those that need it, `limit` at most, is computed anew and kept. `only_kept`:
    of those alone that may have moved, as something is kept of them, by other rules or of another
    version. Returns what has moved, which is looked at by its new slot, and the step to go on from,
    None after the last. Raises LeaseLostError.
    """
    found, step = await store.walk(db, rules(), after, limit, only_kept=only_kept)
    if not found:
        return [], step
    outlooks, moved = {}, {}
    for held in found:
        drift, outlooks[held.id] = _compared(held)
        if drift is not None:
            moved[held.id] = drift, _following(held)
    return await store.keep(db, term, outlooks, moved), step


def _following(held: HeldSchedule) -> datetime | None:
    try:
        with in_passing():
            return next_slot(held.version, held.name, held.now)
    except Exception:  # it is looked at when it was to be, and its fault is told then
        return None


def _compared(held: HeldSchedule) -> tuple[Drift | None, Outlook]:
    """Return how the slots of `held` have moved, None if a person has moved them, and its outlook.

    That is the kept one where it is young, and computed again alike.
    """
    moved, old = None, held.kept
    if old is not None and not _by_person(held):
        again = _outlook(held.version, held.name, old.at)
        if again.slots != old.slots:
            moved = _moved(held, held.version)
        elif held.now - old.at < _YOUNG:
            return None, again
    return moved, _outlook(held.version, held.name, held.now)


def _by_person(held: HeldSchedule) -> bool:
    return any(by not in (BY_CODE, BY_CONFIG) for by in held.by)


def _moved(held: HeldSchedule, version: ScheduleVersion) -> Drift | None:
    old = held.kept
    if old is None:
        return None
    new = _outlook(version, held.name, old.at)
    before, after = old.slots[:NEXT], new.slots[:NEXT]
    if before == after:  # what moves lies further off, beyond a change of the clock, say
        before = [s for s in old.slots if s not in new.slots][:NEXT]
        after = [s for s in new.slots if s not in old.slots][:NEXT]
    if before == after:
        return None
    before = [s for s in before if s > held.now]
    after = [s for s in after if s > held.now]
    if not before and not after:  # what was kept is past: of a trigger by seconds, soon
        if old.rules == new.rules:
            was = msgspec.structs.replace(version, trigger=old.trigger)
            before = _outlook(was, held.name, held.now).slots[:NEXT]
        after = _outlook(version, held.name, held.now).slots[:NEXT]
    if before == after:
        return None
    return Drift(schedule=held.name, because=_because(old, new), before=before, after=after)


def _as_changed(held: HeldSchedule) -> HeldSchedule:
    """Return `held`, where a person has changed the schedule since its outlook was kept with that
    of the change."""
    if held.kept is None or not _by_person(held):
        return held
    asked = _outlook(held.version, held.name, held.now)
    return msgspec.structs.replace(held, kept=asked)


def _as_of_now(held: HeldSchedule, version: ScheduleVersion, moved: Drift) -> Drift:
    """Return `moved` with the slots from now on, of which the kept ones may be few: where this code
    computes as the leader's does, it can tell what was to come."""
    if held.kept is None or held.kept.rules != rules():
        return moved
    was = _outlook(held.version, held.name, held.now).slots[:NEXT]
    will = _outlook(version, held.name, held.now).slots[:NEXT]
    return moved if was == will else msgspec.structs.replace(moved, before=was, after=will)


def _because(old: Outlook, new: Outlook) -> str:
    if old.trigger != new.trigger:
        return f"its trigger was '{old.trigger}' and is '{new.trigger}'"
    if old.rules != new.rules:
        return f"computed by {old.rules} before, by {new.rules} now"
    return "its window, its jitter or the code of its trigger has changed"


def _outlook(version: ScheduleVersion, name: str, at: datetime) -> Outlook:
    slots: list[datetime] = []
    try:
        with in_passing():
            while len(slots) < NEXT:
                slot = next_slot(version, name, slots[-1] if slots else at)
                if slot is None:
                    break
                slots.append(slot)
            for month in range(1, MONTHS):
                slot = next_slot(version, name, at + month * _MONTH)
                if slot is not None and slot > slots[-1]:
                    slots.append(slot)
    except Exception:  # of a kind that this code does not know, or a plugin's that fails
        slots = []
    return Outlook(
        at=at, version=version.version, rules=rules(), trigger=version.trigger, slots=slots
    )
