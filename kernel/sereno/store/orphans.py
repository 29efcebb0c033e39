"""Reads which schedules nobody fires any more, and which queued runs nobody begins, as no plugin
declares their jobs, and tells it."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from sereno.store.pool import Database

MOST_RUNS = 10_000
"""As many are counted, over all jobs."""


class OrphanedSchedules(msgspec.Struct, frozen=True):
    """The orphaned schedules of a plugin's jobs. `first`: a name."""

    plugin: str
    count: int
    first: str


class OrphanedRuns(msgspec.Struct, frozen=True):
    """Queued runs of a job. `plugin`: the one that declared it last."""

    job: str
    plugin: str
    count: int


async def orphaned_runs(db: Database, jobs: Collection[str]) -> list[OrphanedRuns]:
    """Return the queued runs of jobs that are not among `jobs`, of 10,000; raises StoreError."""
    rows = await db.fetch("runs_orphaned", list(jobs))
    return [OrphanedRuns(**dict(row)) for row in rows]


def run_orphans(found: Sequence[OrphanedRuns], unasked: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each job. `unasked`: installed plugins that have told nothing."""
    bound = "at least " if sum(one.count for one in found) >= MOST_RUNS else ""
    for one in found:
        if one.plugin not in unasked:
            yield (
                f"{bound}{one.count} queued run{'s' * (one.count != 1)} of '{one.job}': no plugin "
                "declares it; they wait until one does, or until `sereno cancel` ends them"
            )


async def orphaned_schedules(db: Database, jobs: Collection[str]) -> list[OrphanedSchedules]:
    """Return those of jobs that are not among `jobs`, by plugin; raises StoreError."""
    rows = await db.fetch("schedules_orphaned", list(jobs))
    return [OrphanedSchedules(**dict(row)) for row in rows]


def schedule_orphans(found: Sequence[OrphanedSchedules], unasked: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each plugin. `unasked`: installed ones that have told nothing."""
    for one in found:
        if one.plugin in unasked:
            continue
        more = f" and {one.count - 1} more" if one.count > 1 else ""
        subject = "schedules" if one.count > 1 else "schedule"
        yield (
            f"{subject} '{one.first}'{more} of plugin '{one.plugin}' "
            f"{'are' if one.count > 1 else 'is'} orphaned: no plugin that is installed here "
            "declares the job; install it again, or `sereno schedule remove SCHEDULE`"
        )
