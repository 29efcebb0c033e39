"""The job that deletes expired rows of tables, as the rules under ``tables`` say."""

from typing import Any

import msgspec

from sereno import RunContext, cron, job, retry
from sereno_cleanup.archives.known import KnownArchives, known_archives, remember
from sereno_cleanup.database import connected
from sereno_cleanup.fault import STOPPED, sentence
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.retention import Cleared, TableRetention
from sereno_cleanup.settings import Settings, TableRule
from sereno_cleanup.tally import SweepCount, add


class TablesParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`dry_run`: only say what would go. `table`: only the rules of this table."""

    dry_run: bool = False
    table: str | None = None


@job(
    "cleanup.tables",
    schedule=cron("0 3 * * *"),
    params=TablesParams,
    timeout="2h",
    retry=retry(3, delay="5m"),
    overdue_after="25h",
    severity="warning",
)
async def tables(run: RunContext[TablesParams]) -> dict[str, Any]:
    """Delete rows that are older than their rule keeps them.

    Raises CleanupFailedError, after every rule had its turn, when one could not be carried out.
    """
    settings: Settings = run.settings
    chosen = [r for r in settings.tables if run.params.table in (None, r.table)]
    archives = {rule.archive for rule in chosen if rule.archive is not None}
    known = await known_archives(run.database_url if archives else "")
    cleared: list[Cleared] = []
    failures: list[str] = []
    for rule in chosen:
        if out_of_time(run):
            cleared.append(Cleared(table=rule.table, complete=False))
            continue
        try:
            cleared.append(await _rule(run, settings, rule, known))
        except STOPPED:
            raise
        except Exception as error:  # a rule's fault is its own
            failures.append(f"{rule.table}: {sentence(error)}")
    await remember(run.database_url, known, archives)
    failures += [
        f"{one.table}: {one.refused} rows were refused, first: {one.failure}"
        for one in cleared
        if one.failure is not None
    ]
    failures += [f"{one.table}: {fault}" for one in cleared for fault in one.faults]
    deleted = sum(one.deleted for one in cleared)
    counts = [SweepCount(one.table, "deleted", one.deleted) for one in cleared]
    counts += [SweepCount(one.table, "refused", one.refused) for one in cleared]
    await add(run.database_url, run.job, counts)
    if failures:
        raise CleanupFailedError(f"{'; '.join(failures)} (deleted all the same: {deleted} rows)")
    return {
        "deleted": deleted,
        "complete": all(one.complete for one in cleared),
        "dry_run": run.params.dry_run,
        "tables": msgspec.to_builtins(cleared),
    }


async def _rule(
    run: RunContext[TablesParams], settings: Settings, rule: TableRule, known: KnownArchives
) -> Cleared:
    url = rule.database_url or settings.database_url or run.database_url
    async with connected(url, "cleanup.tables") as database:
        retention = TableRetention(run, database, settings.logs_zone, run.params.dry_run, known)
        found = await retention.rule(rule)
    run.log.info(
        "expired rows deleted",
        extra={"table": rule.table, "deleted": found.deleted, "complete": found.complete},
    )
    return found
