"""The replicas: real processes, each started again under a new name whenever it has ended."""

import contextlib
import ctypes
import glob
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.waiting import wait_until

from sereno.engine.clock import steady

from .network import Network

ROOT = Path(__file__).parents[3]
_PR_SET_PDEATHSIG = 1
_FAKETIME = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib*/faketime/libfaketimeMT.so.1",
    f"{ROOT}/.sereno/tools/faketime/usr/lib/*/faketime/libfaketimeMT.so.1",
)


def faketime() -> str | None:
    """Return the library that gives a process a clock of its own, None where there is none."""
    return next((found for pattern in _FAKETIME for found in glob.glob(pattern)), None)


@dataclass(frozen=True, slots=True)
class Harm:
    """What was done to a process of ours: from when until when it could not act as it should."""

    label: str
    since: float
    until: float


@dataclass
class Replica:
    """A place for a replica. `label`: of the process that is there now, as its node's row says.

    `own_clock`: whether its processes have a wall clock that can be set wrong.
    """

    letter: str
    place: Path
    environment: Mapping[str, str]
    network: Network | None
    own_clock: bool = False
    harms: list[Harm] = field(default_factory=list)
    deaths: dict[str, float] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def label(self) -> str:
        return f"{self.letter}{self.starts}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def clock(self) -> Path:
        """The file that says how far the process's wall clock is off."""
        return self.place / f"{self.letter}.clock"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        if self.running:
            return
        self.starts += 1
        if not self.clock.exists():
            self.shift(0)
        command = [sys.executable, "-m", "tests.faults.chaos.node"]
        if self.network is not None:
            command = ["ip", "netns", "exec", self.network.name, *command]
        with (self.place / f"{self.label}.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.place,
                env={
                    **os.environ,
                    **self.environment,
                    **self._clock_environment(),
                    "PYTHONPATH": f"{ROOT / 'kernel'}:{ROOT}",
                    "SERENO_NODE_NAME": self.label,
                },
                preexec_fn=die_with_parent,
                start_new_session=True,
            )

    def shift(self, seconds: int) -> None:
        """Put the wall clock of this place's processes so far ahead, those that run included."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self.clock)

    def signal(self, number: signal.Signals) -> None:
        # Before: this program may be kept waiting after the kill, while the next one leads.
        now = steady()
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self.died(now)

    def died(self, now: float) -> None:
        self.deaths.setdefault(self.label, now)
        self.harms.append(Harm(self.label, now, float("inf")))

    def harmed(self, since: float) -> None:
        """Note that the process could not act as it should from `since` on until now."""
        self.harms.append(Harm(self.label, since, steady()))

    def wait(self, seconds: float) -> int:
        """Wait for the process to end, and return its exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        self.deaths.setdefault(self.label, steady())
        self.codes[self.label] = code
        for left in Path("/dev/shm").glob(f"*faketime_*_{self.pid}"):
            left.unlink()  # as who is killed does not; the next process of this number would choke
        return code

    def stop(self) -> None:
        """End the process, whatever it takes."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, signal.SIGTERM)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.running, "a replica to end", 20)
        if self.running:
            self._process.kill()
        self.wait(10)

    def _clock_environment(self) -> dict[str, str]:
        library = faketime()
        if library is None or not self.own_clock:
            return {}
        return {
            # The library takes locks that a fork leaves shut for ever in the child, before it
            # executes anything: uvloop forks, asyncio does not.
            "CHAOS_LOOP": "asyncio",
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
