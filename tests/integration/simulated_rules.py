"""What may happen to runs in the simulated year: they end, fan out, follow, are asked for and kept
out."""

import inspect
import os
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from sereno.store import queue

from .simulated_fans import JOIN
from .simulated_names import TAGS
from .simulated_world import JOBS, World

numbers = st.integers(0, 10_000)
moments = st.timedeltas(timedelta(seconds=1), timedelta(minutes=2))
hours = st.timedeltas(timedelta(minutes=1), timedelta(hours=30))
flags = st.fixed_dictionaries({"one_off": st.booleans(), "at_start": st.booleans()}) | st.just({})
YEARS = int(os.environ.get("SERENO_SIMULATED_YEARS", "0"))
weeks = st.timedeltas(timedelta(hours=2), timedelta(weeks=4) if YEARS else timedelta(days=4))
tags = st.lists(st.sampled_from(TAGS), max_size=2, unique=True)


Step = Callable[..., Coroutine[Any, Any, None]]
Holds = Callable[[Any], object]


def rule(
    when: Holds = lambda year: True, **drawn: st.SearchStrategy[Any]
) -> Callable[[Step], Step]:
    """Mark a step of the year. `drawn`: its arguments; `when`: told of the year, whether it may be.

    Not Hypothesis' own rules: of those it leaves most out of a year, to find what needs the others
    away, so that of a few years each was of one or two kinds of steps.
    """

    def mark(step: Step) -> Step:
        step.__dict__.update(drawn=drawn, when=when)
        return step

    return mark


def steps_of(year: object) -> list[str]:
    """Return the names of the steps that may be taken now."""
    found = inspect.getmembers(type(year), inspect.isfunction)
    marked = ((name, vars(step)) for name, step in found if "drawn" in vars(step))
    return [name for name, told in marked if told["when"](year)]


class RunRules:
    """The steps of the year that are of runs."""

    world: World

    @rule(share=st.sampled_from([0.3, 1.0]), rounds=st.integers(1, 5))
    async def runs_end(self, share: float, rounds: int) -> None:
        for _ in range(rounds):
            await self.world.end_runs(share)
            await self.world.tick(reread=False)

    @rule()
    async def nodes_that_led_are_dead(self) -> None:
        await self.world.lose_runs()

    @rule(number=numbers, start_by=st.none() | moments | hours, tags=tags)
    async def somebody_wants_a_run(
        self, number: int, start_by: timedelta | None, tags: list[str]
    ) -> None:
        job = JOBS[number % len(JOBS)]
        if job not in self.world.absent:
            await self.world.names.ask(job, tags, start_by)

    @rule(tags=tags)
    async def somebody_looks_for_tags(self, tags: list[str]) -> None:
        await self.world.names.find(tags, self.world.schedules)

    @rule(days=st.integers(1, 200))
    async def history_is_pruned(self, days: int) -> None:
        await self.world.prune(timedelta(days=days))

    # --- chains -------------------------------------------------------------------------------

    @rule(
        number=numbers,
        job=st.sampled_from(JOBS),
        count=st.integers(0, 6),
        key=st.sampled_from(["", "other"]),
        then=st.sampled_from([JOIN, JOIN, None]),
        on_failure=st.sampled_from(["fail", "continue"]),
    )
    async def a_run_fans_out(self, number: int, job: str, count: int, **rest: Any) -> None:
        if not self.world.claims:
            await queue.enqueue(self.world.db, JOIN, {"tenant": "t0"}, requested_by="ana")
            await self.world.tick()
        await self.world.fan_out(number, job, count, **rest)

    @rule(number=numbers)
    async def somebody_cancels_a_chain(self, number: int) -> None:
        await self.world.fans.cancel(number)

    @rule(number=numbers)
    async def somebody_tries_a_chain_again(self, number: int) -> None:
        await self.world.fans.retry(number, self.world.absent)

    # --- unique runs --------------------------------------------------------------------------

    @rule(
        asked=st.lists(st.integers(0, 7), min_size=1, max_size=4),
        how=st.sampled_from(["declared", "by", "key", "params"]),
        span=hours | weeks,
    )
    async def somebody_wants_unique_runs(self, asked: list[int], how: str, span: timedelta) -> None:
        for number in asked:
            job = JOBS[number % 2]
            if job not in self.world.absent:
                await self.world.keys.ask(job, how, number // 2, span, self.world.clock.now())

    @rule(number=numbers)
    async def somebody_cancels_a_unique_run(self, number: int) -> None:
        await self.world.keys.cancel(number)
