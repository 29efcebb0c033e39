import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sereno import (
    JobOverdue,
    LeaderChanged,
    RunFinished,
    RunStalled,
    RunStarted,
    SlotSettled,
    hookimpl,
    job,
)
from sereno.plugins import HookDispatcher, Registry, collect, load_plugins
from sereno.settings import Settings

EVENT = LeaderChanged(node="n", term=1, leading=True, reason="first")
SHORT = timedelta(milliseconds=50)


def registry(*plugins: tuple[str, Any]) -> Registry:
    settings = Settings()
    return collect(load_plugins(settings, extra=plugins, entry_points=False), settings)


def listener(heard: Any) -> Any:
    @hookimpl
    async def sereno_on_leader_changed(event: LeaderChanged) -> None:
        await heard(event)

    return SimpleNamespace(sereno_on_leader_changed=sereno_on_leader_changed)


def keeper(open_and_close: Any) -> Any:
    @hookimpl
    def sereno_lifespan(settings: Any) -> Any:
        return asynccontextmanager(open_and_close)()

    @hookimpl
    def sereno_register_jobs() -> Any:
        async def work(run: Any) -> None: ...

        return [job(f"{open_and_close.__name__}.work")(work)]

    return SimpleNamespace(
        sereno_lifespan=sereno_lifespan, sereno_register_jobs=sereno_register_jobs
    )


async def test_each_plugin_hears_an_event_after_the_one_before_it() -> None:
    order: list[str] = []

    async def slow(event: LeaderChanged) -> None:
        order.append("slow begins")
        await asyncio.sleep(0)
        order.append("slow ends")

    async def quick(event: LeaderChanged) -> None:
        order.append(f"quick hears of term {event.term}")

    await HookDispatcher(registry(("a", listener(slow)), ("b", listener(quick)))).emit(EVENT)

    assert order == ["slow begins", "slow ends", "quick hears of term 1"]


@pytest.mark.parametrize(
    "fault", [ValueError("x"), SystemExit(1), asyncio.CancelledError(), TimeoutError()]
)
async def test_a_hook_that_raises_reaches_no_other_plugin(
    fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    async def bad(event: LeaderChanged) -> None:
        raise fault

    async def good(event: LeaderChanged) -> None:
        heard.append(event)

    await HookDispatcher(registry(("bad", listener(bad)), ("good", listener(good)))).emit(EVENT)

    assert heard == [EVENT]
    record = next(r for r in caplog.records if r.levelno == logging.ERROR)
    assert record.message == "hook failed"
    assert vars(record)["plugin"] == "bad"
    assert vars(record)["hook"] == "sereno_on_leader_changed"


async def test_a_hook_that_hangs_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    heard = []

    async def hang(event: LeaderChanged) -> None:
        await asyncio.Event().wait()

    async def good(event: LeaderChanged) -> None:
        heard.append(event)

    plugins = registry(("a", listener(hang)), ("b", listener(good)))
    await HookDispatcher(plugins, limit=SHORT).emit(EVENT)

    assert heard == [EVENT]
    assert [r.message for r in caplog.records if r.levelno == logging.ERROR] == ["hook failed"]


async def test_cancelling_the_kernel_is_no_fault_of_a_plugin() -> None:
    began = asyncio.Event()

    async def hang(event: LeaderChanged) -> None:
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(HookDispatcher(registry(("a", listener(hang)))).emit(EVENT))
    await began.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("event", "hook"),
    [
        (RunStarted, "sereno_on_run_started"),
        (RunFinished, "sereno_on_run_finished"),
        (RunStalled, "sereno_on_run_stalled"),
        (SlotSettled, "sereno_on_slot_settled"),
        (LeaderChanged, "sereno_on_leader_changed"),
        (JobOverdue, "sereno_on_job_overdue"),
    ],
)
async def test_each_event_is_heard_by_its_hook_alone(event: type, hook: str) -> None:
    heard = []

    @hookimpl(specname=hook)
    async def listen(event: object) -> None:
        heard.append(event)

    said = _some(event)
    hooks = HookDispatcher(registry(("a", SimpleNamespace(listen=listen))))
    for other in (RunStarted, RunStalled, RunFinished, SlotSettled, LeaderChanged, JobOverdue):
        await hooks.emit(said if other is event else _some(other))

    assert len(heard) == 1
    assert heard[0] is said


def _some(event: Any) -> Any:
    return event(**dict.fromkeys(event.__struct_fields__))


async def test_an_event_that_no_hook_hears_is_an_error_of_the_kernel() -> None:
    with pytest.raises(TypeError, match="no hook hears a SimpleNamespace"):
        await HookDispatcher(registry()).emit(SimpleNamespace())


async def test_lifespans_open_in_order_and_close_in_reverse() -> None:
    order: list[str] = []

    async def first() -> AsyncIterator[None]:
        order.append("first opens")
        yield
        order.append("first closes")

    async def second() -> AsyncIterator[None]:
        order.append("second opens")
        yield
        order.append("second closes")

    async with HookDispatcher(registry(("a", keeper(first)), ("b", keeper(second)))).lifespans():
        order.append("work")

    assert order == ["first opens", "second opens", "work", "second closes", "first closes"]


async def test_what_a_lifespan_yields_is_its_plugin_s_state_and_no_other_s() -> None:
    async def first() -> AsyncIterator[dict[str, int]]:
        yield {"calls": 3}

    async def second() -> AsyncIterator[None]:
        yield

    hooks = HookDispatcher(registry(("a", keeper(first)), ("b", keeper(second))))
    assert hooks.registry.given_to("first.work").state is None
    async with hooks.lifespans() as opened:
        assert opened.given_to("first.work").state == {"calls": 3}
        assert opened.given_to("second.work").state is None


async def test_a_hook_and_a_lifespan_take_what_they_ask_for_by_name() -> None:
    heard: list[Any] = []

    @hookimpl
    @asynccontextmanager
    async def sereno_lifespan(database_url: str = "none") -> AsyncIterator[str]:
        yield f"opened {database_url}"

    @hookimpl
    async def sereno_on_leader_changed(state: Any, event: Any = None) -> None:
        heard.append((state, event))

    @hookimpl
    async def sereno_on_job_overdue() -> None:
        heard.append("overdue")

    asking = SimpleNamespace(
        sereno_lifespan=sereno_lifespan,
        sereno_on_leader_changed=sereno_on_leader_changed,
        sereno_on_job_overdue=sereno_on_job_overdue,
    )
    hooks = HookDispatcher(registry(("a", asking)))
    async with hooks.lifespans("postgresql://it"):
        await hooks.emit(EVENT)
        await hooks.emit(_some(JobOverdue))

    assert heard == [("opened postgresql://it", EVENT), "overdue"]


async def test_a_lifespan_that_fails_takes_its_own_jobs_away_and_no_others() -> None:
    closed = []

    async def good() -> AsyncIterator[None]:
        yield
        closed.append("good")

    async def bad() -> AsyncIterator[None]:
        raise OSError("no route to the PBX")
        yield

    async def hang() -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    plugins = registry(("a", keeper(bad)), ("b", keeper(good)), ("c", keeper(hang)))
    hooks = HookDispatcher(plugins, lifespan_limit=SHORT)

    async with hooks.lifespans() as left:
        assert set(left.jobs) == {"good.work"}
        assert left.records["a"].state == "failed"
        assert left.records["a"].reason == "sereno_lifespan: OSError: no route to the PBX"
        assert left.records["c"].reason == "sereno_lifespan: TimeoutError: no message"
        assert left.plugins.loaded == ["b"]
        assert hooks.registry is left
    assert closed == ["good"]


async def test_a_lifespan_that_cannot_be_closed_keeps_none_open() -> None:
    closed = []

    async def good() -> AsyncIterator[None]:
        yield
        closed.append("good")

    async def bad() -> AsyncIterator[None]:
        yield
        raise ValueError("x")

    async with HookDispatcher(registry(("a", keeper(good)), ("b", keeper(bad)))).lifespans():
        pass

    assert closed == ["good"]


async def test_lifespans_close_too_when_the_work_inside_fails() -> None:
    closed = []

    async def good() -> AsyncIterator[None]:
        try:
            yield
        finally:
            closed.append("good")

    with pytest.raises(KeyError):
        async with HookDispatcher(registry(("a", keeper(good)))).lifespans():
            raise KeyError

    assert closed == ["good"]


async def test_what_is_no_context_manager_fails_its_plugin() -> None:
    @hookimpl
    def sereno_lifespan(settings: Any) -> Any:
        return 5

    plugins = registry(("a", SimpleNamespace(sereno_lifespan=sereno_lifespan)))

    async with HookDispatcher(plugins).lifespans() as left:
        assert left.records["a"].state == "failed"
        assert "__aenter__" in left.records["a"].reason


async def _deaf(until: asyncio.Event) -> None:
    while not until.is_set():
        with suppress(asyncio.CancelledError):
            await until.wait()


async def test_a_hook_that_swallows_its_cancellation_is_left_behind_by_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard, until = [], asyncio.Event()

    async def deaf(event: LeaderChanged) -> None:
        await _deaf(until)

    async def good(event: LeaderChanged) -> None:
        heard.append(event)

    plugins = registry(("a", listener(deaf)), ("b", listener(good)))
    await HookDispatcher(plugins, limit=SHORT, swallowed=0.05).emit(EVENT)

    assert heard == [EVENT]
    (told,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert vars(told)["plugin"] == "a"
    assert "it swallowed its cancellation" in str(told.exc_info)
    until.set()


async def test_a_lifespan_that_swallows_its_cancellation_holds_up_no_start_and_no_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    until = asyncio.Event()

    async def opening() -> AsyncIterator[None]:
        await _deaf(until)
        yield

    async def closing() -> AsyncIterator[None]:
        yield
        await _deaf(until)

    plugins = registry(("a", keeper(opening)), ("b", keeper(closing)))
    hooks = HookDispatcher(plugins, lifespan_limit=SHORT, swallowed=0.05)
    async with hooks.lifespans() as left:
        assert set(left.jobs) == {"closing.work"}
        assert "it swallowed its cancellation" in left.records["a"].reason

    errors = [vars(r)["plugin"] for r in caplog.records if r.levelno == logging.ERROR]
    assert errors == ["a", "b"]
    until.set()


async def test_what_a_lifespan_has_set_for_its_jobs_is_there_while_it_is_open() -> None:
    pool: ContextVar[str] = ContextVar("pool")

    async def sets() -> AsyncIterator[None]:
        token = pool.set("open")
        yield
        pool.reset(token)

    async with HookDispatcher(registry(("a", keeper(sets)))).lifespans():
        assert await asyncio.create_task(asyncio.sleep(0, pool.get())) == "open"


async def test_a_task_group_of_a_lifespan_that_fails_ends_nothing_but_its_lifespan(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed = asyncio.Event()

    async def fails() -> None:
        failed.set()
        raise OSError("the feed broke")

    async def feeds() -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            yield

    async with HookDispatcher(registry(("a", keeper(feeds)))).lifespans():
        await failed.wait()
        for _ in range(10):
            await asyncio.sleep(0)

    (told,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert vars(told)["plugin"] == "a"
    assert "the feed broke" in caplog.text
