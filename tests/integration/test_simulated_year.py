"""A year with fifty schedules, drawn at random: whatever happens, each slot has one verdict.

Time is the test's, also the database's. Leaders come and go, and those who are deposed go on
trying; people pause, resume, override, add and remove; versions of the code come and go; nobody
leads for hours or weeks; runs end well, badly, late, or are lost with their node. After each step
`verify` recomputes what was due and holds the ledger against it.

``SERENO_SIMULATED_YEARS=200`` draws so many years at random, each of more steps; by default the
same few are taken each time.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from functools import wraps
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sereno.model.errors import DeclarationError, NotFoundError
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import queue, schedules
from sereno.store.pool import Database
from sereno.testing.databases import make_template

from ..servers.postgres import PostgresServer
from .simulated_world import JOBS, NEW_YEAR, POLICIES, TRIGGERS, UNKNOWN, World

YEARS = int(os.environ.get("SERENO_SIMULATED_YEARS", "0"))
SETTINGS = settings(
    max_examples=YEARS or 2,
    stateful_step_count=120 if YEARS else 45,
    derandomize=not YEARS,
    deadline=None,
    database=None,
    phases=(Phase.generate,),  # a year shrinks too slowly to be worth the wait
    suppress_health_check=list(HealthCheck),
)

numbers = st.integers(0, 10_000)
moments = st.timedeltas(timedelta(seconds=1), timedelta(minutes=2))
hours = st.timedeltas(timedelta(minutes=1), timedelta(hours=30))
weeks = st.timedeltas(timedelta(hours=2), timedelta(weeks=4))


def awaited(step: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Have a step of the machine, which is a coroutine, run on the machine's loop."""

    @wraps(step)
    def run(self: "Year", **drawn: Any) -> None:
        self.loop.run(step(self, **drawn))

    return run


class Year(RuleBasedStateMachine):
    """What may happen in a year."""

    def __init__(self, server: PostgresServer, seen: Counter[str]) -> None:
        super().__init__()
        self.seen = seen
        self.loop = asyncio.Runner()
        self.copy = server.database("owned_time_template", make_template)
        self.dsn = self.copy.__enter__()
        self.users: list[str] = []
        self.world: World

    @initialize(seed=numbers)
    @awaited
    async def begin(self, seed: int) -> None:
        db = Database(self.dsn, size=3)
        await db.open()
        self.world = World(db, await asyncpg.connect(self.dsn), seed)
        await self.world.begin()

    # --- time passes --------------------------------------------------------------------------

    @rule(span=moments, reread=st.booleans())
    @awaited
    async def a_moment(self, span: timedelta, reread: bool) -> None:
        await self.world.pass_time(span)
        await self.world.tick(reread=reread)
        await self.world.end_runs(0.7)

    @rule(span=hours)
    @awaited
    async def hours_with_a_leader_who_is_on_time(self, span: timedelta) -> None:
        await self.world.watch(span)
        await self.led()

    @rule(span=hours | weeks, share=st.sampled_from([0.0, 0.5, 1.0]))
    @awaited
    async def a_long_time_in_which_the_leader_slept(self, span: timedelta, share: float) -> None:
        await self.world.pass_time(span)
        await self.world.tick()
        await self.world.end_runs(share)
        await self.led()

    @rule(span=weeks)
    @awaited
    async def nobody_leads(self, span: timedelta) -> None:
        await self.world.resign()
        await self.world.pass_time(span)

    # --- leaders ------------------------------------------------------------------------------

    @rule(turn_first=st.booleans())
    @awaited
    async def another_leads(self, turn_first: bool) -> None:
        await self.world.crown()
        if turn_first:
            await self.world.tick()
        await self.world.usurp()
        await self.world.tick()
        await self.led()

    @rule(numbers=st.sets(st.integers(0, len(JOBS) - 1), max_size=4))
    @awaited
    async def another_version_of_the_code_leads(self, numbers: set[int]) -> None:
        self.world.absent = {JOBS[n] for n in numbers}
        await self.world.crown()
        await self.world.usurp()
        await self.world.tick()

    @rule(
        number=numbers, text=st.sampled_from(TRIGGERS), enabled=st.sampled_from([True, True, False])
    )
    @awaited
    async def the_code_changes_a_schedule(self, number: int, text: str, enabled: bool) -> None:
        held = self.world.schedules
        name = sorted(held)[number % len(held)]
        declared = msgspec.structs.replace(held[name].declared, trigger=text, enabled=enabled)
        held[name] = type(held[name])(
            name=name, job=held[name].job, origin="plugin", declared=declared
        )
        await self.world.crown()

    # --- people -------------------------------------------------------------------------------

    @rule(number=numbers, span=st.none() | hours | weeks, whole_job=st.booleans())
    @awaited
    async def somebody_pauses(self, number: int, span: timedelta | None, whole_job: bool) -> None:
        name = await self.any_name(number)
        until = None if span is None else self.world.clock.now() + span
        await schedules.pause(
            self.world.db, name.partition("@")[0] if whole_job else name, by="ana", until=until
        )

    @rule(number=numbers, mode=st.sampled_from(["none", "last", "all"]), whole_job=st.booleans())
    @awaited
    async def somebody_resumes(self, number: int, mode: Any, whole_job: bool) -> None:
        name = await self.any_name(number)
        try:
            await schedules.resume(
                self.world.db, name.partition("@")[0] if whole_job else name, by="ana", run=mode
            )
        except DeclarationError:  # more slots than a person may ask for
            assert mode == "all"

    @rule(
        number=numbers,
        text=st.none() | st.sampled_from(TRIGGERS),
        policies=st.none() | st.sampled_from(POLICIES),
    )
    @awaited
    async def somebody_overrides(self, number: int, text: str | None, policies: Any) -> None:
        name = await self.any_name(number)
        await self.override(name, {"trigger": text, "policies": policies})

    @rule(number=numbers, starts=st.none() | hours | weeks, lasts=hours | weeks)
    @awaited
    async def somebody_opens_a_window(
        self, number: int, starts: timedelta | None, lasts: timedelta
    ) -> None:
        name = await self.any_name(number)
        first = self.world.clock.now() + (starts or -timedelta(hours=3))
        changes = {
            "starts_at": None if starts is None else first.isoformat(),
            "ends_at": (first + lasts).isoformat(),
        }
        await self.override(name, changes)

    @rule(
        number=numbers,
        text=st.sampled_from(TRIGGERS),
        policies=st.sampled_from(POLICIES),
        known=st.integers(0, 5),
    )
    @awaited
    async def somebody_adds_a_schedule(
        self, number: int, text: str, policies: Any, known: int
    ) -> None:
        job = JOBS[number % len(JOBS)] if known else UNKNOWN
        name = f"{job}@user{number}"
        declared = ScheduleSpec(trigger=text, params={"tenant": "t1"}, policies=policies)
        try:
            await schedules.add(self.world.db, name, self.world.job(job), declared, by="ana")
        except DeclarationError:  # the name is taken, or it would never fire
            pass
        except NotFoundError:
            assert job not in JOBS or job in self.world.absent
        else:
            self.users.append(name)

    @precondition(lambda self: self.users)
    @rule(number=numbers)
    @awaited
    async def somebody_removes_a_schedule(self, number: int) -> None:
        name = self.users.pop(number % len(self.users))
        await schedules.remove(self.world.db, name, by="ana")

    # --- runs ---------------------------------------------------------------------------------

    @rule(share=st.sampled_from([0.3, 1.0]), rounds=st.integers(1, 5))
    @awaited
    async def runs_end(self, share: float, rounds: int) -> None:
        for _ in range(rounds):
            await self.world.end_runs(share)
            await self.world.tick(reread=False)

    @rule()
    @awaited
    async def nodes_that_led_are_dead(self) -> None:
        await self.world.lose_runs()

    @rule(number=numbers)
    @awaited
    async def somebody_wants_a_run(self, number: int) -> None:
        job = JOBS[number % len(JOBS)]
        if job not in self.world.absent:
            await queue.enqueue(self.world.db, job, {"tenant": "t1"}, requested_by="ana")

    @rule(days=st.integers(1, 200))
    @awaited
    async def history_is_pruned(self, days: int) -> None:
        await self.world.eye.fetchval("SELECT sereno.prune($1, 500)", timedelta(days=days))

    # --- the proof ----------------------------------------------------------------------------

    @invariant()
    def every_slot_has_one_verdict(self) -> None:
        self.loop.run(self.world.check())

    async def led(self) -> None:
        """Require that who leads leaves nothing behind."""
        if self.world.leader is not None:
            await self.world.tick()
            await self.world.nothing_is_left()

    async def override(self, name: str, changes: dict[str, Any]) -> None:
        job = self.world.job
        with suppress(DeclarationError):  # it would never fire, or its window be empty
            await schedules.override(self.world.db, name, changes, jobs=job, by="ana")

    async def any_name(self, number: int) -> str:
        rows = await self.world.eye.fetch(
            "SELECT name FROM sereno.schedule WHERE state <> 'removed' ORDER BY name"
        )
        return str(rows[number % len(rows)]["name"])

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.loop.run(self.end())
        finally:
            self.loop.close()
            self.copy.__exit__(None, None, None)

    async def end(self) -> None:
        """Let a last leader settle the rest of the year, and hold it all against what was due."""
        try:
            await self.world.pass_time(max(NEW_YEAR - self.world.clock.now(), timedelta(0)))
            self.world.absent = set()
            await self.world.crown()
            await self.world.tick()
            await self.world.nothing_is_left()
            account = await self.world.check(whole=True)
            self.seen.update(account.verdicts)
        finally:
            self.world.eye.terminate()
            await self.world.db.close()


@pytest.mark.timeout(0 if YEARS else 240)
def test_in_a_simulated_year_every_slot_gets_one_verdict(postgres_server: PostgresServer) -> None:
    seen: Counter[str] = Counter()
    run_state_machine_as_test(lambda: Year(postgres_server, seen), settings=SETTINGS)
    assert {"waiting", "ran", "late", "coalesced", "skipped", "missed"} == set(seen)
