"""The job that deletes Django's expired sessions, in batches that block nobody."""

from contextlib import aclosing
from datetime import timedelta
from typing import Any

from sereno import RunContext, cron, job, retry
from sereno_cleanup.database import connected
from sereno_cleanup.expiry.pace import Pace
from sereno_cleanup.expiry.rows import ExpiredRows
from sereno_cleanup.expiry.shape import Shape, shape_of
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.settings import Settings
from sereno_cleanup.tally import SweepCount, add


@job(
    "cleanup.sessions",
    schedule=cron("0 * * * *"),
    timeout="5m",
    retry=retry(3, delay="30s"),
    overdue_after="2h",
    severity="warning",
)
async def sessions(run: RunContext[dict[str, Any]]) -> dict[str, Any]:
    """Delete expired sessions.

    The cutoff is the database's time at the start. `complete` is false when the time limit came
    first: the next run goes on.
    """
    settings: Settings = run.settings
    async with connected(settings.database_url or run.database_url, "cleanup.sessions") as database:
        shape = await shape_of(
            database, settings.sessions_table, "expire_date", timedelta(0), "UTC", cascade=True
        )
        if shape is None:
            note = f"table {settings.sessions_table} does not exist"
            run.log.info("no table of sessions", extra={"table": settings.sessions_table})
            return {"deleted": 0, "batches": 0, "complete": True, "note": note}
        result = await _delete(run, database, shape, settings.sessions_batch)
        if not shape.indexed:
            result["note"] = f"{settings.sessions_table} has no index on expire_date: it is slow"
            run.log.warning("no index on expire_date", extra={"table": settings.sessions_table})
        deleted = SweepCount(settings.sessions_table, "deleted", result["deleted"])
        await add(run.database_url, run.job, [deleted])
        return result


async def _delete(
    run: RunContext[dict[str, Any]], database: Any, shape: Shape, batch: int
) -> dict[str, Any]:
    deleted = batches = 0
    complete = True
    pace, refused = Pace(run, database), list[str]()
    for leaf in shape.leaves:
        if out_of_time(run):
            complete = False
            break
        rows = ExpiredRows(database, shape, leaf.name, "true", batch, refused)
        async with aclosing(rows.delete()) as gone:
            async for count in gone:
                deleted, batches = deleted + count, batches + (count > 0)
                run.progress(deleted, note=f"{deleted} sessions deleted")
                if not await pace.pause():
                    complete = False
                    break
    run.log.info("expired sessions deleted", extra={"deleted": deleted, "complete": complete})
    result: dict[str, Any] = {"deleted": deleted, "batches": batches, "complete": complete}
    if refused:
        run.log.warning("sessions were refused", extra={"refused": len(refused)})
        result |= {"refused": len(refused), "failure": refused[0]}
    return result
