"""Tries whether an executor keeps its promises: real nodes, a real database, jobs that are watched
from outside. See docs/executors.md."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sereno.app.application import Sereno
from sereno.engine.clock import steady
from sereno.store.views import RunDetail
from sereno.testing import trial_jobs
from sereno.testing.trial_jobs import PREFIX

_LOOKED_EVERY = 0.05
_STILL = 0.6
"""Seconds without a line after which a job that beats is over: thirty beats."""

_MOST_PLACES = 8


class ExecutorTrial:
    """A node that leads, whose jobs run in the executor that is tried.

    ``async with ExecutorTrial(database, "mine", places, plugins=[my_plugin]) as trial``, then
    ``await promise(trial)`` for each of `executor_promises`. `database`: the URL of an empty
    database in real time. `place`: a directory that the jobs can write to, wherever they run.
    `plain`: the executor takes plain functions, else ``async def``. `settings`: as `Sereno` takes
    them. `capacity`: attempts at once, None for no bound.
    """

    limit = 90.0
    """Seconds that anything may take."""

    def __init__(
        self,
        database: str,
        executor: str,
        place: Path,
        *,
        plugins: list[Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        plain: bool = True,
        capacity: int | None = None,
    ) -> None:
        self.executor = executor
        self.capacity = capacity
        self._kind = "" if plain else "_async"
        self._place = place
        self._files = 0
        chosen = dict(settings or {})
        jobs = {f"{PREFIX}.{name}{self._kind}" for name in _NAMES}
        chosen["database_url"] = database
        chosen.setdefault("lease", "2s")
        # By settings, and as a module: so another process that is given them has the same jobs.
        chosen["modules"] = [*chosen.get("modules", ()), trial_jobs.__name__]
        chosen["jobs"] = {**chosen.get("jobs", {}), **{n: {"executor": executor} for n in jobs}}
        self._node = Sereno(chosen, plugins=plugins or (), entry_points=False, wait=self.limit)

    async def __aenter__(self) -> Self:
        await self._node.astart()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._node.astop(0)

    def notes(self) -> Path:
        """Return a file that jobs have not written to."""
        self._files += 1
        return self._place / f"trial-{self._files}"

    async def enqueue(self, name: str, notes: Path) -> int:
        """Queue a run of one of the trial's jobs."""
        params = {"notes": str(notes)}
        return await self._node.client.enqueue(f"{PREFIX}.{name}{self._kind}", params)

    async def run(self, run_id: int) -> RunDetail:
        """Return how a run stands."""
        return await self._node.client.run(run_id, lines=100, reveal=True)

    async def over(self, run_id: int) -> RunDetail:
        """Return a run once it has ended."""
        await self._node.client.wait(run_id, timeout=self.limit)
        return await self.run(run_id)

    async def ended(self, name: str) -> tuple[RunDetail, Path]:
        """Queue a run, and return it once it has ended, with what it has noted."""
        notes = self.notes()
        return await self.over(await self.enqueue(name, notes)), notes

    async def cancel(self, run_id: int) -> None:
        """Ask a run to stop."""
        await self._node.client.cancel(run_id)

    async def overstays(self, run_id: int) -> bool:
        """Return whether an attempt of this run is known to work on, and keeps its place."""
        return any(one.run_id == run_id for one in await self._node.client.overstaying())

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait until something holds; raises AssertionError, which names it."""
        end = steady() + self.limit
        while not await holds():
            assert steady() < end, f"not within {self.limit:g} s: {what}"
            await asyncio.sleep(_LOOKED_EVERY)

    async def begun(self, notes: Path, count: int = 1) -> None:
        """Wait until so many attempts have begun."""

        async def enough() -> bool:
            return sum(begun(notes).values()) >= count

        await self.until(enough, f"{count} attempts at work")


def begun(notes: Path) -> Counter[tuple[int, int]]:
    """Return how often each attempt's function was called, by run and attempt."""
    if not notes.exists():
        return Counter()
    written = notes.read_text().rpartition("\n")[0]  # of the last one only a part may be seen yet
    lines = map(json.loads, written.splitlines())
    return Counter((line["run"], line["attempt"]) for line in lines if line["what"] == "begun")


class ExecutorPromise:
    """One promise, which is tried by calling it. As a text, its name."""

    def __init__(self, name: str, tried: Callable[[ExecutorTrial], Awaitable[None]]) -> None:
        self._name = name
        self._tried = tried

    async def __call__(self, trial: ExecutorTrial) -> None:
        """Raise AssertionError where it is not kept."""
        await self._tried(trial)

    def __str__(self) -> str:
        return self._name


async def _result(trial: ExecutorTrial) -> None:
    run, notes = await trial.ended("succeeds")
    assert (run.state, run.result) == (
        "succeeded",
        {"run": run.id, "attempt": 1, "text": "ñ/☀"},
    ), (run.state, run.error)
    assert begun(notes) == {(run.id, 1): 1}


async def _error(trial: ExecutorTrial) -> None:
    run, notes = await trial.ended("fails")
    assert run.state == "failed"
    assert run.error is not None
    assert "LookupError: this one fails" in run.error
    assert "_fails" in (run.traceback or ""), "the traceback is of where it was raised"
    assert begun(notes) == {(run.id, 1): 1}, "an executor tries nothing again by itself"


async def _attempts(trial: ExecutorTrial) -> None:
    run, notes = await trial.ended("tries")
    assert (run.state, run.attempt, run.result) == ("succeeded", 2, {"so": "far"}), run.error
    assert begun(notes) == {(run.id, 1): 1, (run.id, 2): 1}


async def _words(trial: ExecutorTrial) -> None:
    run, _ = await trial.ended("speaks")
    assert (run.state, run.done, run.total, run.note) == ("succeeded", 7, 9, "nearly"), run.error
    said = [line.message for line in run.lines if line.message.startswith("line ")]
    assert said == [f"line {n:02d}" for n in range(20)]


async def _large(trial: ExecutorTrial) -> None:
    run, _ = await trial.ended("large")
    assert (run.state, run.result) == ("succeeded", None)
    run, _ = await trial.ended("odd")
    assert run.state == "failed"
    assert run.error


async def _stopped(trial: ExecutorTrial, run_id: int, notes: Path) -> None:
    """Wait until a job that was told to stop writes nothing more, or keeps its place and is told of
    as one that works on."""
    size, since = -1, steady()

    async def still() -> bool:
        nonlocal size, since
        if (now := _size(notes)) != size:
            size, since = now, steady()
        return steady() - since > _STILL or await trial.overstays(run_id)

    await trial.until(still, f"the end of what run {run_id} does")


async def _cancel(trial: ExecutorTrial) -> None:
    notes = trial.notes()
    run_id = await trial.enqueue("stays", notes)
    await trial.begun(notes)
    await trial.cancel(run_id)
    assert (await trial.over(run_id)).state == "cancelled"
    await _stopped(trial, run_id, notes)
    _let_go(notes)


async def _timeout(trial: ExecutorTrial) -> None:
    notes = trial.notes()
    run_id = await trial.enqueue("ends", notes)
    assert (await trial.over(run_id)).state == "timed_out"
    assert begun(notes) in ({}, {(run_id, 1): 1}), "it was called more than once"
    await _stopped(trial, run_id, notes)
    _let_go(notes)


async def _capacity(trial: ExecutorTrial) -> None:
    places = _MOST_PLACES if trial.capacity is None else trial.capacity
    notes = trial.notes()
    runs = [await trial.enqueue("stays", notes) for _ in range(places + 2)]
    await trial.begun(notes, places)
    if trial.capacity is not None:
        states = Counter([(await trial.run(r)).state for r in runs])
        assert states == {"running": places, "queued": 2}, states
        assert sum(begun(notes).values()) == places
    _let_go(notes)
    for run_id in runs:
        assert (await trial.over(run_id)).state == "succeeded"
    assert set(begun(notes).values()) == {1}


def _size(notes: Path) -> int:
    return notes.stat().st_size if notes.exists() else 0


def _let_go(notes: Path) -> None:
    Path(f"{notes}.go").touch()


_NAMES = ("succeeds", "fails", "tries", "speaks", "large", "odd", "stays", "ends")


def executor_promises() -> list[ExecutorPromise]:
    """Return what an executor is held to, one by one."""
    return [
        ExecutorPromise("a result comes back, of a function that was called once", _result),
        ExecutorPromise("an error comes back, and nothing is tried again by itself", _error),
        ExecutorPromise("the next attempt has what the last one has kept", _attempts),
        ExecutorPromise("what a run says is kept, in its order", _words),
        ExecutorPromise("what cannot be kept of a result is said", _large),
        ExecutorPromise("a cancellation ends the work, or its place stays taken", _cancel),
        ExecutorPromise("a timeout ends the work, or its place stays taken", _timeout),
        ExecutorPromise("no more begin than there are places, the others wait", _capacity),
    ]
