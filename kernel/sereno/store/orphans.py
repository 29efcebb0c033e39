"""Reads which schedules nobody fires any more, as no plugin declares their jobs, and tells it."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from sereno.store.pool import Database


class OrphanedSchedules(msgspec.Struct, frozen=True):
    """The orphaned schedules of a plugin's jobs. `first`: a name."""

    plugin: str
    count: int
    first: str


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
