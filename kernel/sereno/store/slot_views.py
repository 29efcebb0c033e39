"""Reads what people are shown of slots: what became of each, and by which version it was due."""

from datetime import datetime

import msgspec

from sereno.model.ledger import ScheduleVersion
from sereno.store.ledger import version_of
from sereno.store.pool import Database
from sereno.store.shown_rows import masked, picked, shown


class SlotView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one slot, or of `slots` slots that share a verdict. `node`: who decided.

    A slot that was filled later has one more, of `verdict` ``backfilled`` and term 0; one that was
    never due has that alone. `run_kept`: its run has not been pruned yet.
    """

    schedule: str
    first_slot: datetime
    last_slot: datetime
    slots: int
    verdict: str
    term: int
    decided_at: datetime
    reason: str | None = None
    run_id: int | None = None
    run_kept: bool = True
    node: str | None = None


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a schedule's slots at some instant follow, and who made it."""

    name: str
    definition: ScheduleVersion
    settled_to: datetime
    changed_by: str
    changed_at: datetime
    reason: str


async def slots(
    db: Database, job: str, first: datetime, last: datetime, *, limit: int = 100
) -> list[SlotView]:
    """Return the verdicts of `job`'s slots in [first, last], and the ranges that touch it."""
    return shown(await db.fetch("view_slots", job, first, last, limit), SlotView)


async def rules(db: Database, job: str, at: datetime) -> list[RuleView]:
    """Return what `job`'s schedules followed at the instant `at`."""
    return [
        RuleView(definition=masked(version_of(row)), **picked(row, RuleView))
        for row in await db.fetch("view_history", job, at)
    ]
