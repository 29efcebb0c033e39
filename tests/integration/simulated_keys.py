"""Unique runs of the simulated year: who is kept out, and by which run, as the world reckons."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from sereno.client import Client
from sereno.model.errors import NotFoundError
from sereno.model.job import Job, job
from sereno.store.pool import Database

DAILY = "plugin2.daily"
DAY = timedelta(days=1)


async def _nothing(run: Any) -> None:
    """Stand where a job's function stands."""


def unique_jobs() -> list[Job]:
    """Return a job that is unique by itself, for a day and a tenant."""
    return [job(DAILY, unique_for=DAY, unique_by=["tenant"])(_nothing)]


@dataclass
class Holder:
    """The run that holds a key. `state`, `attempt`: as the world saw it last."""

    run_id: int
    until: datetime
    state: str = "queued"
    attempt: int = 0

    def holds(self, now: datetime) -> bool:
        """Tell whether another run is kept out."""
        if self.state in ("queued", "running"):
            return True
        done_nothing = self.state == "cancelled" and self.attempt == 0
        return now < self.until and not done_nothing


class Keys:
    """The keys that were asked for, and the runs that hold them."""

    def __init__(self, db: Database, eye: asyncpg.Connection) -> None:
        self._db = db
        self._eye = eye
        self._held: dict[tuple[object, ...], Holder] = {}
        self.counts = {"new": 0, "kept out": 0}

    async def ask(self, job: str, how: str, number: int, span: timedelta, now: datetime) -> None:
        """Ask for a run as a program does, and hold what is told against what is reckoned."""
        await self.look()
        tenant, n = f"t{number % 2}", number % 3
        params: dict[str, Any] = {"tenant": tenant, "n": n}
        given: dict[str, Any] = {"unique_for": span}
        key: tuple[object, ...] = (job, "params", tenant, n)
        if how == "declared":
            job, given, span, key = DAILY, {}, DAY, (DAILY, "by", tenant)
        elif how == "by":
            given["unique_by"], key = ["tenant"], (job, "by", tenant)
        elif how == "key":
            given["unique_key"], key = f"key {n}", (job, "key", n)
        found = await Client(self._db, requested_by="ana").request(job, params, **given)
        holder = self._held.get(key)
        if holder is not None and holder.holds(now):
            told = (found.new, found.run_id, found.held_until)
            assert told == (False, holder.run_id, holder.until), (key, holder, found)
            assert found.state == holder.state, (key, holder, found)
            self.counts["kept out"] += 1
        else:
            assert (found.new, found.held_until) == (True, now + span), (key, holder, found)
            assert all(found.run_id != other.run_id for other in self._held.values())
            self._held[key] = Holder(found.run_id, now + span)
            self.counts["new"] += 1

    async def cancel(self, number: int) -> None:
        """Cancel a run that holds a key."""
        if self._held:
            chosen = [*self._held.values()][number % len(self._held)]
            try:
                await Client(self._db, requested_by="ana").cancel(chosen.run_id)
            except NotFoundError:  # pruned
                assert chosen.state not in ("queued", "running")
        await self.look()

    async def look(self) -> None:
        """See how the runs stand that hold keys; one that is gone must have been over."""
        ids = [holder.run_id for holder in self._held.values()]
        rows = await self._eye.fetch(
            "SELECT id, state, attempt FROM sereno.run WHERE id = ANY ($1::bigint[])", ids
        )
        here = {r["id"]: r for r in rows}
        for key, holder in self._held.items():
            if holder.run_id in here:
                holder.state = here[holder.run_id]["state"]
                holder.attempt = here[holder.run_id]["attempt"]
            else:
                assert holder.state not in ("queued", "running"), f"{key}: {holder} is gone"
