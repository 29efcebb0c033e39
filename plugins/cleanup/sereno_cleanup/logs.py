"""The job that deletes old log files; a plain function, so it runs in a thread."""

import socket
from typing import Any

import msgspec

from sereno import RunContext, cron, job
from sereno_cleanup.archives.known import known_from_thread, remember_from_thread
from sereno_cleanup.settings import Settings
from sereno_cleanup.sweep import Sweep, Swept
from sereno_cleanup.tally import SweepCount, add_from_thread


class LogsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`dry_run`: only say what would go. `confirm`: allow for once what breaks the ceilings."""

    dry_run: bool = False
    confirm: bool = False


class CleanupFailedError(Exception):
    """Some rule could not be carried out; the others were."""


@job(
    "cleanup.logs",
    schedule=cron("0 2 * * *"),
    params=LogsParams,
    scope="host",
    timeout="1h",
    overdue_after="25h",
    severity="warning",
)
def logs(run: RunContext[LogsParams]) -> dict[str, Any]:
    """Delete log files that are older than their rule keeps them, of the machine that runs this.

    Raises CleanupFailedError, after every rule had its turn, when one was refused or failed.
    """
    settings: Settings = run.settings
    dry = run.params.dry_run or settings.logs_dry_run
    archives = {rule.archive for rule in settings.logs if rule.archive is not None}
    known = known_from_thread(run.database_url if archives else "")
    sweep = Sweep(run, settings, dry, run.params.confirm, known)
    swept = [sweep.rule(rule) for rule in settings.logs]
    remember_from_thread(run.database_url, known, archives)
    add_from_thread(run.database_url, run.job, [c for one in swept for c in _counted(one)])
    failures = [one.failure for one in swept if one.failure is not None]
    if failures:
        deleted = sum(one.deleted for one in swept)
        raise CleanupFailedError(f"{'; '.join(failures)} (deleted all the same: {deleted} files)")
    return {
        "host": socket.gethostname(),
        "deleted": sum(one.deleted for one in swept),
        "archived": sum(one.archived for one in swept),
        "bytes": sum(one.bytes for one in swept),
        "dry_run": dry,
        "rules": [_summary(one) for one in swept],
    }


def _counted(swept: Swept) -> list[SweepCount]:
    gone = SweepCount(swept.path, "deleted", swept.deleted, swept.bytes)
    return [gone, *(SweepCount(swept.path, reason, n) for reason, n in swept.kept.items())]


def _summary(swept: Swept) -> dict[str, Any]:
    """Return the parts of `swept` that say something."""
    found = {
        "path": swept.path,
        "matched": swept.matched,
        "deleted": swept.deleted,
        "kept": swept.kept,
        "planned": swept.planned or None,
        "note": swept.note,
    }
    return {name: value for name, value in found.items() if value is not None}
