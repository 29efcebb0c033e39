"""Finds what was due of a job at an instant, and what became of it."""

from datetime import datetime, timedelta

import msgspec

from sereno.store import views
from sereno.store.pool import Database
from sereno.store.views import RuleView, RunDetail, SlotView
from sereno.triggers.occurrences import trigger_of

_TICK = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_NEAR = timedelta(days=1)
_MOST_RUNS = 5


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What was due of a job in [at, until) and what became of it.

    `rules`: the version that each of its schedules followed then, `due`: by schedule, the slot that
    this made due, None for none. `near`: verdicts of a day around. `runs`: of the first few of
    `slots`. `kept_from`: older slots may have been pruned; None: none were.
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
    found = await views.slots(db, job, at, until - _TICK)
    rules = await views.rules(db, job, max(at, found[0].first_slot) if found else until)
    return Explanation(
        job=job,
        at=at,
        until=until,
        now=await db.fetchval("database_now"),
        rules=tuple(rules),
        due={rule.name: _due(rule, at, until) for rule in rules},
        slots=tuple(found),
        near=tuple(await views.slots(db, job, at - _NEAR, at + _NEAR, limit=10_000)),
        runs={
            slot.run_id: await views.run(db, slot.run_id, lines=lines, reveal=reveal)
            for slot in found[:_MOST_RUNS]
            if slot.run_id is not None
        },
        kept_from=await db.fetchval("history_kept_from"),
    )


def _due(rule: RuleView, at: datetime, until: datetime) -> datetime | None:
    if rule.definition.state in ("orphaned", "removed"):
        return None
    trigger = trigger_of(rule.definition.trigger, rule.definition.jitter, rule.name)
    slot = trigger.next_after(at - _TICK)
    ends = rule.definition.ends_at
    if slot is None or slot >= until or (ends is not None and slot >= ends):
        return None
    return slot
