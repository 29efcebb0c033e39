"""Jobs of a replica that a test can spoil: files in the directory SPOILED say what goes wrong.

``fail``: the job of every second fails. The replica ends when its standard input does, as when the
test is killed.
"""

import os
import sys
import threading
from pathlib import Path

from sereno import Job, Notification, Notifier, RunContext, every, hookimpl, job

SPOILED = Path(os.environ["SPOILED"])


@job("watched.tick", schedule=every("1s"), overdue_after="4s", severity="critical", grace="2s")
async def tick(run: RunContext) -> None:
    if (SPOILED / "fail").exists():
        raise RuntimeError("it was told to fail")


@job("watched.yearly", schedule=every("365d"), overdue_after="400d", severity="warning")
async def yearly(run: RunContext) -> None:
    """Is declared, and not due."""


class Silent(Notifier):
    """Takes what it is told, and keeps it to itself."""

    name = "silent"

    async def send(self, notification: Notification) -> None: ...


@hookimpl
def sereno_register_notifiers(settings: object) -> list[Notifier]:
    return [Silent()]


@hookimpl
def sereno_register_jobs(settings: object) -> list[Job]:
    return [tick, yearly]


def end_with_the_test() -> None:
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_the_test, daemon=True).start()
