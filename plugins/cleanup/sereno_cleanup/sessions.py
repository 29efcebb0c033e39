"""The job that deletes Django's expired sessions, in batches that block nobody."""

from typing import Any

from sereno import RunContext, cron, job, retry
from sereno_cleanup.database import connected, short_transaction
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.queries import query
from sereno_cleanup.settings import Settings
from sereno_cleanup.table import quoted


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
    table = quoted(settings.sessions_table)
    async with connected(settings.database_url or run.database_url, "cleanup.sessions") as database:
        if await database.fetchval("SELECT to_regclass($1)", table) is None:
            note = f"table {settings.sessions_table} does not exist"
            run.log.info("no table of sessions", extra={"table": settings.sessions_table})
            return {"deleted": 0, "batches": 0, "complete": True, "note": note}
        result = await _delete(run, database, table, settings.sessions_batch)
        if not await database.fetchval(query("is_indexed"), table):
            result["note"] = f"{settings.sessions_table} has no index on expire_date: it is slow"
            run.log.warning("no index on expire_date", extra={"table": settings.sessions_table})
        return result


async def _delete(
    run: RunContext[dict[str, Any]], database: Any, table: str, batch: int
) -> dict[str, Any]:
    cutoff = await database.fetchval("SELECT now()")
    statement = query("delete_expired_sessions").replace("{table}", table)
    deleted = batches = 0
    complete = False
    while not complete and not out_of_time(run):
        async with short_transaction(database):
            tag = await database.execute(statement, cutoff, batch)
        count = int(tag.rpartition(" ")[2])
        complete = count < batch
        deleted, batches = deleted + count, batches + (count > 0)
        run.progress(deleted, note=f"{deleted} sessions deleted")
    run.log.info("expired sessions deleted", extra={"deleted": deleted, "complete": complete})
    return {"deleted": deleted, "batches": batches, "complete": complete}
