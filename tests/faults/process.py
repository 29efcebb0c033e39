"""A replica as a process of its own, its log, its pages and its words to systemd."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from ..servers.lines import whole_lines
from ..servers.waiting import wait_until
from ..servers.warm_python import PATH, python_process

ROOT = Path(__file__).parents[2]
KEPT = {"SERENO_LEASE": "10s"}
"""For tests that say who leads all along: on a full machine, 2 s may be over by themselves."""


class Process:
    """A replica. `place`: a directory of its own, for its log; `site`: where plugins are planted
    that ``sereno run`` finds by itself, in place of `plugin`; `command`: another than that;
    `python`: of another environment."""

    def __init__(
        self,
        dsn: str,
        place: Path,
        plugin: str,
        *,
        site: Path | None = None,
        command: str = "run",
        python: str = sys.executable,
        **environment: str,
    ) -> None:
        path = [PATH, *([] if site is None else [str(site)])]
        chaos = site is None and command == "run"
        words = ["-m", "tests.faults.chaos.node"] if chaos else ["-m", "sereno", command]
        self.log = place / f"replica-{len(list(place.glob('replica-*')))}.log"
        env = {
            **os.environ,
            "PYTHONPATH": ":".join(path),
            "CHAOS_PLUGIN": plugin,
            "SERENO_DATABASE_URL": dsn,
            "SERENO_LEASE": "2s",
            "SERENO_HTTP__PORT": "0",
            "SERENO_LOG__FORMAT": "json",
            **environment,
        }
        with self.log.open("wb") as log:
            self.popen = python_process(
                [python, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=place,
                env=env,
            )

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return what the replica has logged so far under this text."""
        found = []
        for text in whole_lines(self.log):
            if text.startswith("{") and event in text:
                line = json.loads(text)
                if line["event"] == event:
                    found.append(line)
        return found

    def said(self, event: str, times: int = 1, seconds: float = 60) -> dict[str, Any]:
        """Return the latest line under this text, once there are so many."""

        def enough() -> bool:
            assert self.popen.poll() is None, self.log.read_text()
            return len(self.lines(event)) >= times

        wait_until(enough, f"'{event}' in {self.log}", seconds)
        return self.lines(event)[-1]

    def page(self, path: str) -> httpx.Response:
        """Return one of its pages."""
        return httpx.get(f"{self.said('ready')['pages']}{path}", timeout=30)

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def end(self, seconds: float = 60) -> int:
        """Wait for its end, and return its exit code."""
        return self.popen.wait(seconds)


@contextmanager
def process(
    dsn: str,
    place: Path,
    plugin: str,
    *,
    site: Path | None = None,
    command: str = "run",
    python: str = sys.executable,
    **environment: str,
) -> Iterator[Process]:
    """Start a replica, and leave none behind."""
    found = Process(dsn, place, plugin, site=site, command=command, python=python, **environment)
    try:
        yield found
    finally:
        if found.popen.poll() is None:
            found.signal(signal.SIGCONT)
            found.signal(signal.SIGKILL)
        found.end()
