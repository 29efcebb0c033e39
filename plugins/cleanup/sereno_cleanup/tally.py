"""Counts what went and what stayed, by job, for as long as the plugin is there."""

import asyncio
import logging
from collections.abc import Iterable

import asyncpg
import msgspec

from sereno import Collector, Metric, Sample
from sereno_cleanup.database import connected, make_table
from sereno_cleanup.query import query

log = logging.getLogger("sereno_cleanup")

ITEMS = Metric("cleanup_items_total", "counter", "Files or rows by what became of them.")
FREED = Metric("cleanup_freed_bytes_total", "counter", "Bytes that disks got back.")


class SweepCount(msgspec.Struct, frozen=True):
    """So many files or rows of one rule, and the bytes that went with them."""

    subject: str
    outcome: str
    items: int
    freed_bytes: int = 0


async def add(database_url: str, job: str, counts: Iterable[SweepCount]) -> None:
    """Add what one run of `job` has done, in the kernel's database.

    What is done is done: where it cannot be counted, that is logged, and no fault of the run.
    """
    found = [one for one in counts if one.items or one.freed_bytes]
    if not found:
        return
    try:
        await _add(database_url, job, found)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("what went could not be counted", extra={"job": job, "error": str(error)})


async def _add(database_url: str, job: str, found: list[SweepCount]) -> None:
    async with connected(database_url, "cleanup tally") as database:
        await make_table(database, "tally")
        await database.execute(
            query("tally_add"),
            job,
            [one.subject for one in found],
            [one.outcome for one in found],
            [one.items for one in found],
            [one.freed_bytes for one in found],
        )


def add_from_thread(database_url: str, job: str, counts: Iterable[SweepCount]) -> None:
    """As `add`, for a job that works in a thread; without a database nothing is counted."""
    if database_url:
        asyncio.run(add(database_url, job, counts))


class CleanupTally(Collector):
    """Reads the counts, which all replicas share."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return both families."""
        return ITEMS, FREED

    async def collect(self, database_url: str) -> list[Sample]:
        """Return the samples of each rule that has done something."""
        async with connected(database_url, "cleanup tally") as database:
            if not await database.fetchval(query("tally_exists")):
                return []
            rows = await database.fetch(query("tally_read"))
        samples = []
        for row in rows:
            labels = {"task": row["job"], "subject": row["subject"], "outcome": row["outcome"]}
            samples.append(Sample(ITEMS, row["items"], labels))
            samples.append(Sample(FREED, row["freed_bytes"], labels))
        return samples
