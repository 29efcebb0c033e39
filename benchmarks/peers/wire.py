"""What every adapter speaks: its options, events on standard output, words on standard input.

Only the standard library and uvloop: every contender's environment can import it.
"""

import asyncio
import json
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import uvloop

Starts = list[tuple[Any, float]]
"""What started, and when by the system's clock."""

COMMANDS: dict[str, Callable[[dict[str, Any]], Any]] = {}

_WORDS: "queue.SimpleQueue[str]" = queue.SimpleQueue()


def command(function: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Register what does a bench, under its own name."""
    COMMANDS[function.__name__] = function
    return function


def async_command(
    function: Callable[[dict[str, Any]], Coroutine[Any, Any, None]],
) -> Callable[[dict[str, Any]], Coroutine[Any, Any, None]]:
    """Register what does a bench on uvloop, under its own name."""
    COMMANDS[function.__name__] = lambda options: uvloop.run(function(options))
    return function


def main() -> None:
    """Do the bench that the command line names."""
    threading.Thread(target=_read, daemon=True).start()
    COMMANDS[sys.argv[1]](json.loads(sys.argv[2]))


def _read() -> None:
    """Take what the bench says, until it is gone: its adapter must not outlive it."""
    for line in sys.stdin:
        _WORDS.put(line.strip())
    os._exit(3)  # whatever the program of a peer would do about an ordinary exit


def say(event: str, **facts: Any) -> None:
    """Tell the bench, past `sys.stdout`: a node takes what is printed there as a run's line."""
    line = memoryview(json.dumps({"event": event, **facts}).encode() + b"\n")
    while line:
        line = line[os.write(1, line) :]


def hear(word: str) -> None:
    """Wait until the bench says `word`."""
    while _WORDS.get() != word:
        pass


async def heard(word: str) -> None:
    """Wait for a word without holding up the loop."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def listen() -> None:
        hear(word)
        loop.call_soon_threadsafe(done.set)

    threading.Thread(target=listen, daemon=True).start()
    await done.wait()


def listen(tell: Callable[[str], Any]) -> None:
    """Hand over every line that the bench says, from a thread."""

    def hand_over() -> None:
        while True:
            tell(_WORDS.get())

    threading.Thread(target=hand_over, daemon=True).start()


def later(i: int) -> str:
    """Return the cron expression of schedule `i`: in two days or more, and not all alike."""
    day = datetime.now(UTC) + timedelta(days=2)
    return f"{i % 60} {i // 60 % 24} {day.day} {day.month} *"


class Tally:
    """Notes each start, as cheaply as may be; tells of the first and of the one that makes `n`.

    `live`: tells of each start at once, for a process that may be killed.
    """

    def __init__(self, n: int, live: bool = False) -> None:
        self.starts: Starts = []
        self._n = n
        self._live = live

    def note(self, key: Any) -> None:
        """Note that the job of `key` has begun, now."""
        starts = self.starts
        starts.append((key, time.time()))
        if self._live:
            say("ran", key=key, at=starts[-1][1])
        elif len(starts) == 1:
            say("first", cpu=time.process_time())
        if len(starts) == self._n:
            say("all", cpu=time.process_time())


class Latency:
    """Enqueues one at a time on an idle system, and takes the time from the call to the start."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._at = 0.0

    def note(self) -> None:
        """Note that the job has begun, from the loop that measures."""
        self._at = time.perf_counter()
        self._begun.set()

    async def measure(self, enqueue: Callable[[], Awaitable[Any]], n: int) -> None:
        """Enqueue `n` times, some ms after the last one began, and say how long each took."""
        chance = random.Random(1)
        for _ in range(3):  # what is done once only: plans, caches, the first notification
            await self._one(enqueue)
        took = []
        for _ in range(n):
            await asyncio.sleep(chance.uniform(0.03, 0.13))
            took.append(await self._one(enqueue))
        say("latencies", seconds=took)

    async def _one(self, enqueue: Callable[[], Awaitable[Any]]) -> float:
        self._begun.clear()
        begun = time.perf_counter()
        await enqueue()
        await asyncio.wait_for(self._begun.wait(), 60)
        return self._at - begun


async def timed(act: Awaitable[Any]) -> float:
    """Return how long it took, in seconds."""
    begun = time.perf_counter()
    await act
    return time.perf_counter() - begun


async def enqueued(
    options: dict[str, Any],
    one: Callable[[], Awaitable[Any]],
    many: Callable[[int], Awaitable[Any]],
) -> None:
    """Enqueue one by one and in bulk, and say how long each took; to make the jobs is not timed."""

    async def singly(n: int) -> None:
        for _ in range(n):
            await one()

    await singly(20)
    single = await timed(singly(options["single"]))
    say("done", single=single, bulk=await timed(many(options["bulk"])))


async def told(tally: Tally) -> None:
    """Wait for the end of the bench, and tell what started and when."""
    await heard("stop")
    say("starts", starts=tally.starts)
