"""What a job does to the loop, the signals or the children of its process costs no other run."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .process import KEPT, Process, process

JOBS = "tests.faults.meddling"
TICKED = """
    SELECT count(*) FROM sereno.run WHERE job = 'meddling.tick' AND state = 'succeeded'
       AND finished_at > %s
"""
LOOPS = ("uvloop", "asyncio")

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def goes_on(dsn: str) -> None:
    """Wait until other jobs have run that began after this call."""
    now = value(dsn, "SELECT clock_timestamp()")
    wait_until(lambda: value(dsn, TICKED, now) >= 2, "other jobs to go on")


def ended(dsn: str, run: int) -> str:
    """Return a run's state once it is over."""
    wait_until(lambda: state(dsn, run) not in ("queued", "running"), f"the end of run {run}", 40)
    return state(dsn, run)


def begun(dsn: str, replica: Process, job: str, **params: Any) -> int:
    """Return a new run once its function is at work."""
    run = enqueue(dsn, job, json.dumps(params))
    wait_until(
        lambda: any(line["run"] == run for line in replica.lines("at work")), f"run {run} to begin"
    )
    return run


def last_line(replica: Process) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(replica.log.read_text().splitlines()[-1])
    return found


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["exit in a task", "interrupt in a task", "exit in a task's task"])
def test_an_exit_in_a_task_of_a_run_ends_that_task_alone(
    database: str, tmp_path: Path, how: str, loop: str
) -> None:
    with process(database, tmp_path, JOBS, CHAOS_LOOP=loop, **KEPT) as replica:
        other = begun(database, replica, "meddling.long", seconds=2)
        run = enqueue(database, "meddling.loop", json.dumps({"how": how}))
        assert ended(database, run) == "succeeded"
        told = replica.said("a task of a run raised what would have ended the node")
        assert (told["job"], told["run"]) == ("meddling.loop", run)
        assert ended(database, other) == "succeeded"
        goes_on(database)
        assert not replica.lines("no longer leading")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["cancel all", "cancel all in a task", "cancel all from a thread"])
def test_a_run_that_cancels_every_task_cancels_its_own_alone(
    database: str, tmp_path: Path, how: str, loop: str
) -> None:
    with process(database, tmp_path, JOBS, CHAOS_LOOP=loop, **KEPT) as replica:
        other = begun(database, replica, "meddling.long", seconds=2)
        run = enqueue(database, "meddling.loop", json.dumps({"how": how}))
        assert ended(database, run) == "cancelled"
        told = replica.said("a run may cancel no task but its own")
        assert (told["job"], told["run"]) == ("meddling.loop", run)
        assert ended(database, other) == "succeeded"
        goes_on(database)
        assert not replica.lines("no longer leading")
        assert replica.page("/health/liveness").status_code == 200


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ("stop the loop", "stop the event loop"),
        ("stop the loop later", "stop the event loop"),
        ("set its task factory", "set the event loop's task factory"),
        ("set its handler", "set the event loop's exception handler"),
        ("shut generators down", "shut the event loop's generators down"),
        ("shut the executor down", "shut the event loop's default executor down"),
        ("close the loop", ""),
    ],
)
def test_a_run_can_neither_end_the_loop_nor_change_it_for_all(
    database: str, tmp_path: Path, how: str, rule: str, loop: str
) -> None:
    with process(database, tmp_path, JOBS, CHAOS_LOOP=loop, **KEPT) as replica:
        run = enqueue(database, "meddling.loop", json.dumps({"how": how}))
        assert ended(database, run) == ("failed" if "close" in how else "succeeded")
        if rule:
            assert replica.said(f"a run may not {rule}")["run"] == run
        goes_on(database)
        assert not replica.lines("no longer leading")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_callback_that_would_end_the_process_ends_nothing_and_is_told(
    database: str, tmp_path: Path, loop: str
) -> None:
    with process(database, tmp_path, JOBS, CHAOS_LOOP=loop, **KEPT) as replica:
        run = enqueue(database, "meddling.timer")
        assert ended(database, run) == "succeeded"
        told = [*replica.lines("a callback raised what would have ended the node")]
        assert ["SystemExit" in line["traceback"] for line in told] == [True, False]
        assert all(f"run {run} of job 'meddling.timer'" in line["runs"] for line in told)
        goes_on(database)
        assert not replica.lines("no longer leading")
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0


def test_a_timer_of_a_job_does_not_end_the_node(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, JOBS) as replica:
        run = enqueue(database, "meddling.alarm")
        assert ended(database, run) == "succeeded"
        wait_until(
            lambda: any(
                "SIGALRM" in line["signals"]
                for line in replica.lines(
                    "a timer of a job ran out, which would have ended the node"
                )
            ),
            "the alarm to be told",
        )
        goes_on(database)
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0


def test_a_fault_in_c_says_at_last_in_which_job_it_was(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, JOBS) as replica:
        enqueue(database, "meddling.crashes")
        assert replica.end() == -signal.SIGSEGV
        last = replica.log.read_text().rpartition("Fatal Python error: Segmentation fault")[2]
    assert "in crashes\n" in last


def test_a_run_that_cancels_itself_is_not_said_to_be_left(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, JOBS) as replica:
        run = enqueue(database, "meddling.cancels_itself")
        assert ended(database, run) == "cancelled"
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0
        assert not replica.lines("runs did not stop when they were told to, and are left")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["ignores", "handles", "asks the loop", "blocks"])
def test_a_node_whose_signals_a_job_has_taken_hears_them_again(
    database: str, tmp_path: Path, how: str, loop: str
) -> None:
    with process(database, tmp_path, JOBS, CHAOS_LOOP=loop) as replica:
        begun(database, replica, "meddling.signals", how=how)
        told = replica.said("signals were taken from this node, which hears them again")
        assert "SIGTERM" in told["signals"]
        problems = replica.page("/health").json()["problems"]
        assert any("SIGTERM" in p and "executor='process'" in p for p in problems)
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "job", ["meddling.fork", "meddling.fork_in_loop", "meddling.fork_in_process"]
)
@pytest.mark.parametrize(
    ("how", "code"),
    [("terminated", -15), ("interrupted", -2), ("exits", 7), ("comes back", 0), ("raises", 1)],
)
def test_a_forked_child_is_told_and_ends_as_a_process_of_its_own(
    database: str, tmp_path: Path, how: str, code: int, job: str, loop: str
) -> None:
    with process(database, tmp_path, JOBS, CHAOS_LOOP=loop, **KEPT) as replica:
        run = enqueue(database, job, json.dumps({"how": how}))
        assert ended(database, run) == "succeeded"
        found = value(database, "SELECT result FROM sereno.run WHERE id = %s", run)
        assert found == (1 if how == "interrupted" else code)
        goes_on(database)
        assert not replica.lines("no longer leading")
        assert not replica.lines("told to stop")
    attempts = "SELECT count(*) FROM sereno.attempt WHERE run_id = %s"
    assert value(database, attempts, run) <= 1


def test_a_child_that_outlives_its_node_keeps_no_lead(database: str, tmp_path: Path) -> None:
    """With a lease of a minute, as the lease is not to be what ends the session."""
    with process(database, tmp_path, JOBS, SERENO_LEASE="60s") as first:
        first.said("leading")
        run = enqueue(database, "meddling.heir")
        assert ended(database, run) == "succeeded"
        with process(database, tmp_path, JOBS, SERENO_LEASE="60s") as second:
            second.said("ready")
            first.signal(signal.SIGKILL)
            first.end()
            second.said("leading")
    os.kill(value(database, "SELECT result FROM sereno.run WHERE id = %s", run), signal.SIGKILL)


@pytest.mark.parametrize("job", ["meddling.deaf", "meddling.stuck"])
def test_a_run_that_does_not_stop_is_left_at_the_drain_s_limit_and_named(
    database: str, tmp_path: Path, job: str
) -> None:
    with process(database, tmp_path, JOBS, SERENO_DRAIN_TIMEOUT="1s") as replica:
        run = begun(database, replica, job)
        replica.signal(signal.SIGTERM)
        replica.end()
        waits = replica.lines("told to stop: waiting for runs to end")[0]
        left = replica.lines("runs did not stop when they were told to, and are left")[0]
        last = last_line(replica)
    assert waits["runs"] == [f"run {run} of job '{job}'"]
    assert waits["until"]
    assert left["runs"] == [f"run {run} of job '{job}', left behind"]
    assert last["runs"] == left["runs"]
    assert state(database, run) == "queued"


def test_a_run_that_holds_the_loop_does_not_hold_up_the_end(database: str, tmp_path: Path) -> None:
    with process(
        database, tmp_path, JOBS, SERENO_DRAIN_TIMEOUT="250ms", SERENO_LEASE="60s"
    ) as replica:
        run = begun(database, replica, "meddling.blocks")
        replica.said("the event loop is blocked")
        replica.signal(signal.SIGTERM)
        assert replica.end() == 1
        last = last_line(replica)
    assert last["event"] == "this node did not end in time, it is ended now"
    assert last["runs"] == [f"run {run} of job 'meddling.blocks'"]
    assert "in blocks" in last["where"]


def test_a_thread_that_is_joined_at_the_end_does_not_hold_it_up(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, JOBS) as replica:
        assert ended(database, enqueue(database, "meddling.joined")) == "succeeded"
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0
        assert last_line(replica)["threads"] == ["meddling's own"]


def test_the_first_ctrl_c_says_what_it_waits_for_and_the_second_forces(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, JOBS, SERENO_DRAIN_TIMEOUT="5m") as replica:
        runs = [begun(database, replica, job) for job in ("meddling.stuck", "meddling.deaf")]
        replica.signal(signal.SIGINT)
        told = replica.said("told to stop: waiting for runs to end")
        assert told["runs"] == [
            f"run {runs[0]} of job 'meddling.stuck'",
            f"run {runs[1]} of job 'meddling.deaf'",
        ]
        assert "Ctrl-C once more" in told["hint"]
        replica.signal(signal.SIGINT)
        assert replica.end() == 130
        assert len(replica.lines("told to stop again: runs under way are left")[0]["runs"]) == 2
    assert [state(database, run) for run in runs] == ["queued", "queued"]


def test_ctrl_c_while_a_plugin_is_being_opened_ends_the_node(database: str, tmp_path: Path) -> None:
    with process(
        database, tmp_path, JOBS, MEDDLING_HANGS="opening", SERENO_LOG__LEVEL="debug"
    ) as replica:
        wait_until(lambda: replica.lines("opening plugins"), "it to open its plugins")
        replica.signal(signal.SIGINT)
        assert replica.end() == 0


def test_a_plugin_that_never_closes_does_not_hold_up_the_end(database: str, tmp_path: Path) -> None:
    with process(
        database, tmp_path, JOBS, MEDDLING_HANGS="closing", SERENO_DRAIN_TIMEOUT="250ms"
    ) as replica:
        replica.said("leading")
        replica.signal(signal.SIGTERM)
        assert replica.end() == 1
        assert last_line(replica)["hook"] == "sereno_lifespan of plugin 'chaos'"


def test_a_run_that_leaks_descriptors_fails_and_the_node_has_its_own(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, JOBS, MEDDLING_FILES="320") as replica:
        replica.said("leading")
        run = enqueue(database, "meddling.leaks")
        assert ended(database, run) == "failed"
        error = value(database, "SELECT error FROM sereno.run WHERE id = %s", run)
        assert "Too many open files" in error
        told = replica.said("file descriptors run out: a job leaves files or sockets open")
        assert told["limit"] == 320 - 64
        goes_on(database)
        problems = replica.page("/health").json()["problems"]
        assert any("file descriptors were open" in problem for problem in problems)
        assert ended(database, enqueue(database, "meddling.long")) == "succeeded"


def test_the_programs_of_a_process_end_with_its_timeout(database: str, tmp_path: Path) -> None:
    said = "SELECT message FROM sereno.run_log WHERE run_id = %s LIMIT 1"
    with process(database, tmp_path, JOBS):
        run = enqueue(database, "meddling.spawns")
        assert ended(database, run) == "timed_out"
        program = Path(f"/proc/{value(database, said, run)}/cmdline")
        wait_until(lambda: not program.exists() or not program.read_bytes(), "the program's end")
