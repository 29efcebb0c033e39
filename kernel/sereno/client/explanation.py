"""Finds what was due of a job at an instant, and what became of it."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from sereno.model.errors import NotFoundError
from sereno.store import slot_views, views
from sereno.store.pool import Database
from sereno.store.slot_views import RuleView, SlotView
from sereno.store.views import RunDetail
from sereno.triggers.occurrences import trigger_of

_TICK = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_NEAR = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
_ENOUGH = 100
_MOST_RUNS = 5


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What was due of a job in [at, until) and what became of it.

    `rules`: the version that each of its schedules followed then, `due`: by schedule, the slot that
    this made due, None for none. `near`: verdicts of a day around, of less where there are many.
    `runs`: of the first few of `slots`, as far as they are kept. `kept_from`: older slots may have
    been pruned; None: none were.
    """

    job: str
    at: datetime
    until: datetime
    now: datetime
    rules: tuple[RuleView, ...]
    due: dict[str, datetime | None]
    slots: tuple[SlotView, ...]
    near: tuple[SlotView, ...]
    runs: dict[int, RunDetail]
    kept_from: datetime | None

    @property
    def forgotten(self) -> bool:
        """Tell whether it is too long ago to be known."""
        return not self.slots and self.kept_from is not None and self.at < self.kept_from

    def of(self, schedule: str) -> "Explanation":
        """Return what of it is of this schedule of the job."""
        slots = tuple(slot for slot in self.slots if slot.schedule == schedule)
        shown = {slot.run_id for slot in slots}
        return msgspec.structs.replace(
            self,
            rules=tuple(rule for rule in self.rules if rule.name == schedule),
            due={name: slot for name, slot in self.due.items() if name == schedule},
            slots=slots,
            near=tuple(slot for slot in self.near if slot.schedule == schedule),
            runs={number: run for number, run in self.runs.items() if number in shown},
        )


async def explain(
    db: Database,
    job: str,
    at: datetime,
    until: datetime | None = None,
    *,
    lines: int = 0,
    reveal: bool = False,
) -> Explanation:
    """Return what was due of `job` in [`at`, `until`). Raises NotFoundError.

    `until`: None stands for the minute of an instant without seconds, as jitter and second fields
    fall into it, else for the instant alone.
    """
    await views.known_job(db, job)
    if until is None:
        until = at + (_TICK if at.second or at.microsecond else _MINUTE)
    found = await slot_views.slots(db, job, at, until - _TICK)
    rules = await slot_views.rules(db, job, max(at, found[0].first_slot) if found else until)
    return Explanation(
        job=job,
        at=at,
        until=until,
        now=await db.fetchval("database_now"),
        rules=tuple(rules),
        due={rule.name: _due(rule, at, until) for rule in rules},
        slots=tuple(found),
        near=tuple(await _near(db, job, at)),
        runs=await _runs(db, found[:_MOST_RUNS], lines, reveal=reveal),
        kept_from=await db.fetchval("history_kept_from"),
    )


async def _near(db: Database, job: str, at: datetime) -> list[SlotView]:
    """Return slots around `at`: of a day on both sides, of less where so many were due there."""
    for span in _NEAR:
        found = await slot_views.slots(db, job, at - span, at + span, limit=10_000)
        if len(found) >= _ENOUGH:
            break
    return found


async def _runs(
    db: Database, slots: Sequence[SlotView], lines: int, *, reveal: bool
) -> dict[int, RunDetail]:
    """Return the runs of `slots` that are kept."""
    found: dict[int, RunDetail] = {}
    for slot in slots:
        if slot.run_id is not None and slot.run_kept:
            with suppress(NotFoundError):  # pruned meanwhile
                found[slot.run_id] = await views.run(db, slot.run_id, lines=lines, reveal=reveal)
    return found


def _due(rule: RuleView, at: datetime, until: datetime) -> datetime | None:
    if rule.definition.state in ("orphaned", "removed"):
        return None
    trigger = trigger_of(rule.definition.trigger, rule.definition.jitter, rule.name)
    slot = trigger.next_after(at - _TICK)
    ends = rule.definition.ends_at
    if slot is None or slot >= until or (ends is not None and slot >= ends):
        return None
    return slot
