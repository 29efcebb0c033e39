"""Reads what a rehearsal begins with."""

from collections.abc import Collection
from datetime import timedelta

from sereno.model.errors import DeclarationError
from sereno.model.ledger import Entry
from sereno.model.policies import Policies
from sereno.model.rehearsal import MeasuredDurations, RehearsedJob, UnderWay
from sereno.model.stored_json import json_object
from sereno.store.ledger import entries_of
from sereno.store.pool import Database

MEASURED_RUNS = 200
"""So many of a job's newest runs say how long it takes."""

MOST_UNDER_WAY = 10_000


async def schedules(db: Database) -> list[Entry]:
    """Return every schedule that has anything to come, as its leader sees it."""
    return entries_of(await db.fetch("rehearsal_schedules"))


async def jobs(db: Database) -> tuple[dict[str, RehearsedJob], dict[str, str]]:
    """Return the jobs that are declared with the durations that were measured, and why others
    cannot be read."""
    found: dict[str, RehearsedJob] = {}
    unread: dict[str, str] = {}
    for row in await db.fetch("rehearsal_jobs", MEASURED_RUNS):
        try:
            policies = Policies().changed(json_object(row["policies"]), f"job '{row['name']}'")
        except DeclarationError as error:
            unread[row["name"]] = str(error)
            continue
        durations = MeasuredDurations(
            usual=row["usual"] or timedelta(0), slow=row["slow"] or timedelta(0), runs=row["runs"]
        )
        found[row["name"]] = RehearsedJob(
            policies=policies, durations=durations, after=tuple(row["after"])
        )
    return found, unread


async def under_way(db: Database) -> list[UnderWay]:
    """Return runs that are not over."""
    rows = await db.fetch("rehearsal_under_way", MOST_UNDER_WAY)
    return [UnderWay(**dict(row)) for row in rows]


async def turns(db: Database, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return the number of each turn, by job and concurrency key."""
    pairs = sorted(keys)
    asked = [job for job, _ in pairs], [key for _, key in pairs]
    rows = await db.fetch("rehearsal_turns", *asked) if pairs else []
    return {(row["job"], row["key"]): row["turn"] for row in rows}
