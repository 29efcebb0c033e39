"""The job that rotates log files; a plain function, so it runs in a thread."""

import socket
from typing import Any

import msgspec

from sereno import RunContext, cron, job
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.rotation.rotation import Rotated, Rotation
from sereno_cleanup.settings import Settings
from sereno_cleanup.tally import SweepCount, add_from_thread

TOLD = 20
"""So many faults are told one by one."""


@job(
    "cleanup.rotate",
    schedule=cron("*/15 * * * *"),
    scope="host",
    timeout="30m",
    overdue_after="2h",
    severity="warning",
)
def rotate(run: RunContext[dict[str, Any]]) -> dict[str, Any]:
    """Put aside log files that have become large or old, of the machine that runs this.

    Raises CleanupFailedError, after every rule had its turn, when something went wrong.
    """
    settings: Settings = run.settings
    rotation = Rotation(run, settings)
    done = [rotation.rule(rule) for rule in settings.rotations]
    add_from_thread(run.database_url, run.job, [c for one in done for c in _counted(one)])
    failures = [failure for one in done for failure in one.failures]
    if failures:
        rotated = sum(one.files for one in done)
        more = len(failures) - TOLD
        told = "; ".join(failures[:TOLD]) + (f"; and {more} more" if more > 0 else "")
        raise CleanupFailedError(f"{told} (rotated all the same: {rotated} files)")
    return {"host": socket.gethostname(), "rules": msgspec.to_builtins(done)}


def _counted(done: Rotated) -> list[SweepCount]:
    return [
        SweepCount(done.path, "rotated", done.files),
        SweepCount(done.path, "compressed", done.compressed, max(0, done.saved_bytes)),
        SweepCount(done.path, "failed", len(done.failures)),
    ]
