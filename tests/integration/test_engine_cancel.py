"""A run in a thread or a process is cancelled, logs and dies as one in the event loop does."""

import logging
import os
import threading
from typing import Any

from sereno import RunContext, job
from sereno.store import runs

from .node import Eye, running

Run = RunContext[dict[str, Any]]
SAID = "SELECT progress.note FROM sereno.run_progress progress WHERE run_id = $1 AND note = $2"


@job("t.thread", retry=3)
def in_a_thread(run: Run) -> None:
    run.progress(1, note="began")
    while True:
        run.check()
        threading.Event().wait(0.01)


@job("t.process", executor="process", retry=3)
def in_a_process(run: Run) -> None:
    run.progress(os.getpid(), note="began")
    while True:
        pass


@job("t.says", executor="process")
def says(run: Run) -> int:
    run.log.info("by the run's own logger")
    logging.getLogger("library").warning("by a library's, %s", "formatted")
    thread = threading.Thread(target=logging.getLogger("library.deep").error, args=("by a thread",))
    thread.start()
    thread.join()
    try:
        raise ValueError("token=abcdef")
    except ValueError:
        logging.getLogger("library").exception("with what went wrong")
    return run.attempt


@job("t.dies", executor="process", retry={"attempts": 2, "delay": "10ms"})
def dies(run: Run) -> int:
    if run.attempt == 1:
        os.kill(os.getpid(), 11)
    return run.attempt


async def _cancelled(database: str, eye: Eye, made: Any) -> tuple[Any, bool]:
    """Cancel a run once it is under way; return its row, and whether a process of the number that
    its progress tells is there when the run is over."""
    async with running(database, made) as node:
        run_id = await eye.enqueue(made.name)
        await eye.until(SAID, run_id, "began")
        assert await runs.request_cancel(node.kernel.db, run_id, "ann", "wrong day") == "running"
        row = await eye.over(run_id)
        done = await eye.value("SELECT done FROM sereno.run_progress WHERE run_id = $1", run_id)
        alive = int(done) in map(int, filter(str.isdecimal, os.listdir("/proc")))
    return row, alive


async def test_a_thread_is_cancelled_at_its_next_check(database: str, eye: Eye) -> None:
    row, _ = await _cancelled(database, eye, in_a_thread)
    assert (row["state"], row["error"], row["attempt"]) == (
        "cancelled",
        "cancelled by ann: wrong day",
        1,
    )


async def test_a_process_is_killed_though_it_asks_nothing(database: str, eye: Eye) -> None:
    row, alive = await _cancelled(database, eye, in_a_process)
    assert (row["state"], row["error"], row["attempt"]) == (
        "cancelled",
        "cancelled by ann: wrong day",
        1,
    )
    assert not alive


async def test_what_a_child_process_logs_is_kept_with_its_run(database: str, eye: Eye) -> None:
    async with running(database, says):
        row = await eye.ran("t.says")
    assert row["state"] == "succeeded", row["error"]
    lines = await eye.rows(
        "SELECT level, logger, split_part(message, E'\\n', 1), message FROM sereno.run_log"
        " WHERE run_id = $1 ORDER BY line",
        row["id"],
    )
    assert [line[:3] for line in lines] == [
        ("INFO", "sereno.job.t.says", "by the run's own logger"),
        ("WARNING", "library", "by a library's, formatted"),
        ("ERROR", "library.deep", "by a thread"),
        ("ERROR", "library", "with what went wrong"),
    ]
    assert "ValueError: token=***" in lines[-1][3]


async def test_a_child_that_crashes_is_one_failed_attempt(database: str, eye: Eye) -> None:
    async with running(database, dies, says):
        row = await eye.ran("t.dies")
        assert (row["state"], row["attempt"], row["result"]) == ("succeeded", 2, "2")
        ((state, error),) = await eye.rows("SELECT state, error FROM sereno.attempt")
        assert state == "failed"
        assert "SIGSEGV" in error
        assert (await eye.ran("t.says"))["state"] == "succeeded"
