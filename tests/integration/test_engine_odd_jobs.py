"""Whatever a job does, its run has an outcome, and no other is held up."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno import RunContext, every, job
from sereno.engine.runlog import RunLogHandler
from sereno.model.job import Job
from sereno.testing import Signals

from .node import Eye, running

Run = RunContext[dict[str, Any]]


@pytest.mark.parametrize("executor", ["async", "thread"])
@pytest.mark.parametrize(
    "raised", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("odd")]
)
async def test_what_no_job_should_raise_fails_its_run_and_nothing_else(
    database: str, eye: Eye, executor: str, raised: BaseException
) -> None:
    if executor == "async":

        @job("t.odd")
        async def odd(run: Run) -> None:
            raise raised
    else:

        @job("t.odd")
        def odd(run: Run) -> None:
            raise raised

    async with running(database, odd) as node:
        row = await eye.ran("t.odd")
        assert (await eye.ran("t.odd"))["state"] == "failed"
        assert node.fault is None
    assert row["state"] == "failed"
    assert row["error"].startswith(type(raised).__name__)
    assert "in odd\n" in row["traceback"]


async def test_a_job_that_cancels_itself_is_cancelled(database: str, eye: Eye) -> None:
    @job("t.odd")
    async def odd(run: Run) -> None:
        raise asyncio.CancelledError

    async with running(database, odd):
        row = await eye.ran("t.odd")
    assert (row["state"], row["error"]) == ("cancelled", "it cancelled itself")


async def test_a_job_that_swallows_its_cancellation_is_left_behind(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sereno.engine.attempt.STOP_PATIENCE", timedelta(seconds=0.2))
    go = asyncio.Event()

    @job("t.deaf", timeout="1s")
    async def deaf(run: Run) -> None:
        while not go.is_set():
            with suppress(asyncio.CancelledError):
                await go.wait()

    async with running(database, deaf):
        row = await eye.ran("t.deaf")
        go.set()
    assert row["state"] == "timed_out"
    assert "left behind" in row["traceback"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I have no words")


async def test_an_error_that_cannot_be_told_is_told_as_such(database: str, eye: Eye) -> None:
    @job("t.odd")
    async def odd(run: Run) -> None:
        raise Unspeakable

    async with running(database, odd) as node:
        row = await eye.ran("t.odd")
        assert node.fault is None
    assert row["state"] == "failed"
    assert row["error"].startswith("Unspeakable")


def _say_too_much(run: Run) -> None:
    huge = "0f" * 2_500_000 + " ana@example.com"
    run.log.critical(huge)
    run.log.critical("as an argument %r", huge)
    run.progress(1, 2, huge)
    try:
        raise KeyError(huge)
    except KeyError as error:
        run.log.critical("there was an error: %s", error, exc_info=True)
        raise ValueError(huge) from error


@job("t.says_too_much_async")
async def says_too_much(run: Run) -> None:
    _say_too_much(run)


@job("t.says_too_much_thread")
def says_too_much_in_a_thread(run: Run) -> None:
    _say_too_much(run)


@job("t.says_too_much_process", executor="process")
def says_too_much_in_a_process(run: Run) -> None:
    _say_too_much(run)


@pytest.mark.parametrize(
    "said", [says_too_much, says_too_much_in_a_thread, says_too_much_in_a_process]
)
async def test_words_of_any_size_are_cut_and_hold_nobody_up(
    database: str, eye: Eye, said: Job
) -> None:
    async with running(database, said) as node:
        row = await eye.ran(said.name, limit=40)
        assert node.fault is None

    lines = await eye.rows("SELECT message FROM sereno.run_log ORDER BY line")
    ((note,),) = await eye.rows("SELECT note FROM sereno.run_progress")
    assert row["state"] == "failed"
    assert row["error"].startswith("ValueError: 0f0f")
    assert "(50000" in row["error"]
    assert len(row["error"]) < 21_000
    assert len(row["traceback"]) < 21_000
    assert 0 < len(note) < 1_100
    assert len(lines) == 3
    assert all(0 < len(message) < 8_200 for (message,) in lines)


@pytest.mark.parametrize(
    ("result", "state", "error"),
    [
        (object(), "failed", "its result is not JSON: Encoding objects of type object is unsupp"),
        ({1, 2}, "succeeded", None),
        ("x" * 1_000_001, "succeeded", "its result of 1000003 bytes was not kept: the limit is"),
        ("a\x00b", "succeeded", "its result was not kept: it holds U+0000"),
        ("\\u0000", "succeeded", None),
        ("\ud800", "failed", "its result is not JSON"),
        (10**400, "succeeded", None),
        (float("nan"), "succeeded", None),
        (datetime(2026, 3, 1, tzinfo=UTC), "succeeded", None),
    ],
    ids=["object", "set", "huge", "nul", "backslash", "surrogate", "number", "nan", "instant"],
)
async def test_a_result_that_cannot_be_kept_is_told_and_does_not_fail_what_worked(
    database: str, eye: Eye, result: Any, state: str, error: str | None
) -> None:
    @job("t.odd")
    async def odd(run: Run) -> Any:
        return result

    async with running(database, odd):
        row = await eye.ran("t.odd")
    assert row["state"] == state
    assert (row["error"] or "").startswith(error or "")
    assert (row["error"] is None) == (error is None)
    assert (row["result"] is None) == (error is not None)


async def test_a_hundred_thousand_log_lines_are_capped_and_hold_nobody_up(
    database: str, eye: Eye
) -> None:
    ticks = Signals()

    @job("t.chatty")
    def chatty(run: Run) -> int:
        for n in range(100_000):
            run.log.log(logging.CRITICAL, "line %s", n)
        return n

    @job("t.tick", schedule=every("500ms"))
    async def tick(run: Run) -> None:
        ticks.say("tick")

    root = logging.getLogger()
    async with running(database, chatty, tick):
        others = [h for h in root.handlers if not isinstance(h, RunLogHandler)]
        for handler in others:
            root.removeHandler(handler)
        try:
            row = await eye.ran("t.chatty", limit=40)
        finally:
            for handler in others:
                root.addHandler(handler)
        await ticks.wait("tick")
    assert (row["state"], row["result"]) == ("succeeded", "99999")
    kept = await eye.rows(
        "SELECT count(*), max(line), (array_agg(message ORDER BY line DESC))[1]"
        " FROM sereno.run_log WHERE run_id = $1",
        row["id"],
    )
    assert kept == [(2001, 2000, "98000 more lines were not kept: the limit is 2000 an attempt")]


NASTY = "a\x00b\ud800c"


async def test_words_that_postgres_cannot_keep_are_kept_as_well_as_may_be(
    database: str, eye: Eye
) -> None:
    """And hold up neither this run's other words nor another's."""
    told, go = Signals(), asyncio.Event()

    @job("t.nasty")
    async def nasty(run: Run) -> None:
        run.log.critical(NASTY)
        logging.getLogger(f"n{NASTY}").critical("from there")
        run.progress(1, 2, NASTY)
        told.say("nasty")
        await go.wait()
        raise ValueError(NASTY)

    @job("t.nice")
    async def nice(run: Run) -> None:
        run.log.critical("nice")
        run.progress(1, 2, "nice")
        told.say("nice")
        await go.wait()

    async with running(database, nasty, nice):
        ids = [await eye.enqueue(name) for name in ("t.nasty", "t.nice")]
        await told.wait("nasty")
        await told.wait("nice")
        await eye.until("SELECT count(*) = 3 FROM sereno.run_log")
        await eye.until("SELECT count(*) = 2 FROM sereno.run_progress")
        go.set()
        row = await eye.over(ids[0])
    assert row["state"] == "failed"
    assert row["error"] == "ValueError: a\\0b\\ud800c"
    messages = await eye.rows("SELECT message FROM sereno.run_log ORDER BY message")
    assert messages == [("a\\0b\\ud800c",), ("from there",), ("nice",)]
    notes = await eye.rows("SELECT note FROM sereno.run_progress ORDER BY note")
    assert notes == [("a\\0b\\ud800c",), ("nice",)]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda run: run.checkpoint("a\x00"), "U+0000"),
        (lambda run: run.checkpoint(object()), "unsupported"),
        (lambda run: run.checkpoint("x" * 1_000_001), "1000003 bytes"),
        (lambda run: run.progress("half"), "half"),
        (lambda run: run.progress(1, "ten"), "ten"),
        (lambda run: run.progress(1, 2, 3), "note"),
        (lambda run: run.progress(-1, 2), "progress: done is -1, it must be 0 or more"),
        (lambda run: run.progress(1, -2), "progress: total is -2, it must be 0 or more"),
        (lambda run: run.progress(float("nan"), 2), "nan is none"),
        (lambda run: run.progress(1, float("inf")), "inf is none"),
        (lambda run: run.progress(10**400), "done and total are numbers"),
    ],
)
async def test_a_word_that_makes_no_sense_fails_its_own_run_alone(
    database: str, eye: Eye, call: Any, error: str
) -> None:
    @job("t.odd")
    async def odd(run: Run) -> None:
        call(run)

    async with running(database, odd):
        row = await eye.ran("t.odd")
    assert row["state"] == "failed"
    assert error in row["error"]


async def test_params_that_do_not_fit_fail_the_run_with_a_sentence(database: str, eye: Eye) -> None:
    class Params(msgspec.Struct):
        n: int
        parts: list[int] = []

        def __post_init__(self) -> None:
            if self.n == 13:
                raise RuntimeError("unlucky")

    @job("t.strict", params=Params)
    async def strict(run: RunContext[Params]) -> int:
        return run.params.n

    async with running(database, strict) as node:
        await node.leads()
        await eye.until("SELECT true FROM sereno.job WHERE name = 't.strict'")
        for params, error in (
            ('{"n": 1, "parts": ["x"]}', "params do not fit"),
            ('{"n": 13}', "unlucky"),
        ):
            row = await eye.over(await eye.enqueue("t.strict", params))
            assert row["state"] == "failed"
            assert error in row["error"]
        row = await eye.over(await eye.enqueue("t.strict", '{"n": 3}'))
        assert row["result"] == "3"


async def test_a_job_that_leaves_a_transaction_open_holds_up_no_other_run(
    database: str, eye: Eye
) -> None:
    left: list[asyncpg.Connection] = []
    told = Signals()

    @job("t.leaves")
    async def leaves(run: Run) -> None:
        connection = await asyncpg.connect(run.database_url)
        left.append(connection)
        await connection.transaction().start()
        await run.fence(connection)
        told.say("leaves")

    @job("t.nice")
    async def nice(run: Run) -> None:
        pass

    try:
        async with running(database, leaves, nice):
            run_id = await eye.enqueue("t.leaves")
            await told.wait("leaves")
            assert (await eye.ran("t.nice"))["state"] == "succeeded"
            assert (
                await eye.value("SELECT state FROM sereno.run WHERE id = $1", run_id) == "running"
            )
            left[0].terminate()
            assert (await eye.over(run_id))["state"] == "succeeded"
    finally:
        for connection in left:
            connection.terminate()
