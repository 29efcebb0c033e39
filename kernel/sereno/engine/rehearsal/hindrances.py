"""Tells what is in the way of a run."""

from datetime import datetime
from typing import Literal

from sereno.engine.occupancy import Occupancy
from sereno.engine.rehearsal.waiting_line import RehearsedRun
from sereno.model.ledger import Entry, NewRun
from sereno.model.rehearsal import Hindrance, Places, RehearsedEvent


def hindered(
    occupancy: Occupancy,
    run: RehearsedRun,
    places: Places,
    new: NewRun | None = None,
) -> tuple[Hindrance, str]:
    """Return what is in the way, and its name where there may be several of the kind: a key, an
    executor. `new`: what was planned, where it is a slot's at its instant."""
    policies = run.policies
    if new is not None and not new.start:
        return "schedule", ""
    if not occupancy.room():
        return "node", ""
    if policies.max_running is not None and occupancy.full_jobs({run.job: policies.max_running}):
        return "job", ""
    if run.key is not None and run.key in occupancy.full_keys():
        own = run.key == f"schedule {run.schedule_id}"
        return ("schedule", "") if own else ("key", run.key)
    if not occupancy.has_place(policies.executor):
        return "executor", policies.executor
    return "other", ""


def missed(
    entry: Entry, slot: datetime, trouble: Literal["skipped", "missed"], reason: str | None
) -> RehearsedEvent:
    """Return the event of a slot that nothing runs for."""
    hindrance: Hindrance = "schedule" if trouble == "skipped" else "other"
    return RehearsedEvent(
        at=slot,
        trouble=trouble,
        hindrance=hindrance,
        job=entry.job,
        schedule=entry.name,
        slot=slot,
        detail="" if trouble == "skipped" else reason or "",
    )
