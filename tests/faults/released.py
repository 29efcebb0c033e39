"""A plugin of which three versions are released: one job stays as it is, one is declared anew.

RELEASE: which version this is. NOTES: where runs say that they began.
"""

import os
import time
from typing import Any

from sereno import cron, hookimpl, job

from .noting import Run, note

RELEASE = int(os.environ["RELEASE"])


@job("released.tick", schedule=cron("* * * * * *"), catch_up="all", overlap="allow")
async def tick(run: Run) -> None:
    """Run once a second."""
    note(run)


def work(run: Run) -> int:
    """Take a moment of a thread, and return the version that worked."""
    note(run)
    time.sleep(0.05)
    return RELEASE


steady = job("released.steady")(work)
changed = job("released.changed", keep_runs=100_000 + RELEASE)(work)


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [tick, steady, changed]
