"""The job that shortens the kernel's own history of runs."""

from datetime import timedelta
from typing import Any

from sereno import RunContext, cron, job, retry
from sereno_cleanup.database import connected, short_transaction
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.query import query
from sereno_cleanup.settings import Settings


@job(
    "cleanup.history",
    schedule=cron("30 3 * * *"),
    timeout="10m",
    retry=retry(3, delay="1m"),
    overdue_after="25h",
    severity="info",
)
async def history(run: RunContext[dict[str, Any]]) -> dict[str, Any]:
    """Delete history past history_days, and each job's runs beyond the newest history_keep.

    The trail, who changed what, is kept for history_trail_days.
    """
    settings: Settings = run.settings
    what = [timedelta(days=settings.history_days), settings.history_keep, settings.history_batch]
    block = "prune_history"
    if settings.history_trail_days is not None:  # else the kernel's own
        block = "prune_history_and_trail"
        what.append(timedelta(days=settings.history_trail_days))
    deleted = batches = 0
    complete = False
    async with connected(run.database_url, "cleanup.history") as database:
        while not complete and not out_of_time(run):
            async with short_transaction(database, durable=False):
                count = await database.fetchval(query(block), *what)
            complete = count == 0
            deleted, batches = deleted + count, batches + (count > 0)
            run.progress(deleted, note=f"{deleted} rows of history deleted")
    run.log.info("history shortened", extra={"deleted": deleted, "complete": complete})
    return {"deleted": deleted, "batches": batches, "complete": complete}
