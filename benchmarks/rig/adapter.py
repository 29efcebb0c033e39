"""A contender at work: its adapter program, its words and ours.

The adapter gets the bench's name and its options as JSON, and says what happens as lines of JSON on
its standard output, each with an ``event``. We say words, a line each, on its standard input.
"""

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.rig.contender import Contender
from benchmarks.rig.process import cpu_seconds, major_faults

Event = dict[str, Any]


class AdapterError(Exception):
    """An adapter ended, or said nothing in time."""


class Adapter:
    """One adapter process, from enter to exit. `options`: what the bench wants of it."""

    def __init__(self, contender: Contender, bench: str, **options: Any) -> None:
        self.name = contender.name
        self._errors = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 - lives as long as this
        self._place = tempfile.TemporaryDirectory()
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [
                str(contender.interpreter()),
                str(contender.program),
                bench,
                json.dumps({**contender.options, **options}),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._place.name,
            env={k: v for k, v in os.environ.items() if not k.startswith(("SERENO_", "PYTHON"))},
            text=True,
        )
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._heard: list[Event] = []
        self._passed: list[Event] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._place.cleanup()
        self._errors.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return its processor seconds so far."""
        return cpu_seconds(self.pid)

    def major_faults(self) -> int:
        """Return how often it has waited for memory of its own so far."""
        return major_faults(self.pid)

    def event(self, name: str, seconds: float = 60.0) -> Event:
        """Return the next event of this name; `heard` in it is when we heard, monotonic.

        Others that come before it wait for whoever asks for them.
        """
        for event in self._passed:
            if event["event"] == name:
                self._passed.remove(event)
                return event
        end = time.monotonic() + seconds
        while True:
            try:
                event = self._events.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AdapterError(
                    f"{self.name} did not say '{name}' in {seconds:.0f} s\n{self._told()}"
                ) from None
            if event is None:
                raise AdapterError(f"{self.name} ended before it said '{name}'\n{self._told()}")
            if event["event"] == name:
                return event
            self._passed.append(event)

    def heard(self) -> list[Event]:
        """Return all events so far, also those that somebody waited for."""
        return list(self._heard)

    def say(self, word: str) -> None:
        """Say a word to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, if it lives; what was measured is with us already."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                event = {**json.loads(line), "heard": time.monotonic()}
                self._heard.append(event)
                self._events.put(event)
        self._events.put(None)

    def _told(self) -> str:
        return Path(self._errors.name).read_text(errors="replace")[-3000:]
