"""One job that runs away takes neither the other jobs with it nor the kernel."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ..servers.waiting import wait_until
from .asking import do, enqueue, for_seconds, state, value
from .process import KEPT, Process, process

JOBS = "tests.faults.jobs"
BLOCKED = "the event loop is blocked"
TICKED = """
    SELECT count(*) FROM sereno.run WHERE job = 'faults.tick' AND state = 'succeeded'
       AND finished_at > %s
"""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def error(dsn: str, run: int) -> str:
    return str(value(dsn, "SELECT error FROM sereno.run WHERE id = %s", run))


def goes_on(dsn: str) -> None:
    """Wait until other jobs have run that began after this call."""
    now = value(dsn, "SELECT clock_timestamp()")
    wait_until(lambda: value(dsn, TICKED, now) >= 2, "other jobs to go on")


def test_a_job_that_blocks_the_loop_is_named_counted_and_takes_the_lead_from_its_node(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, JOBS) as first:
        first.said("leading")
        with process(database, tmp_path, JOBS) as second:
            second.said("ready")
            run = enqueue(database, "faults.block", '{"seconds": 6}')
            blocked = named(first, "faults.block")
            assert "wait(float(run.params" in blocked["traceback"]
            first.said("giving the lead up: the event loop is blocked")
            second.said("leading")
            goes_on(database)
            # It counts as an attempt: taken up again, it blocks the second too, but not for ever.
            wait_until(lambda: state(database, run) in ("lost", "succeeded"), "its end", 90)
            metrics = first.page("/metrics").text
            blocks = [m for m in metrics.splitlines() if "blocked" in m and not m.startswith("#")]
            assert any(float(line.rsplit(" ", 1)[1]) >= 1 for line in blocks), blocks
            goes_on(database)


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_is_lost_as_it_held_the_loop_is_told_so_and_so_are_those_beside_it(
    database: str, tmp_path: Path, killed: bool
) -> None:
    """Whether its node comes back or is killed meanwhile."""
    with process(database, tmp_path, JOBS) as first:
        first.said("leading")
        beside = enqueue(database, "faults.long", '{"seconds": 60}')
        wait_until(lambda: state(database, beside) == "running", "the run beside it")
        run = enqueue(database, "faults.block", '{"seconds": 8}')
        with process(database, tmp_path, JOBS) as second:
            second.said("ready")
            first.said("giving the lead up: the event loop is blocked")
            noted = "SELECT count(*) FROM sereno.straggler WHERE run_id = %s AND seconds > 1"
            wait_until(lambda: value(database, noted, run), "the word of it")
            if killed:
                _kill(first)
            lost = "SELECT error FROM sereno.attempt WHERE run_id = %s AND state = 'lost'"
            for of, words in (
                (run, "it held the event loop of its node"),
                (beside, f"run {run} of job 'faults.block' held its event loop for"),
            ):
                wait_until(lambda of=of: value(database, lost, of), f"the loss of run {of}", 40)
                assert words in value(database, lost, of)
            _kill(second)


def test_a_block_that_costs_nothing_leaves_no_word(database: str, tmp_path: Path) -> None:
    until = tmp_path / "until"
    with process(database, tmp_path, JOBS, SERENO_LEASE="60s") as replica:
        run = enqueue(database, "faults.block", json.dumps({"until": str(until)}))
        noted = "SELECT count(*) FROM sereno.straggler WHERE run_id = %s"
        wait_until(lambda: value(database, noted, run) == 1, "the word of it")
        until.touch()
        wait_until(lambda: value(database, noted, run) == 0, "that it is taken back")
        wait_until(lambda: state(database, run) == "succeeded", "its end")
        assert replica.lines(BLOCKED)


def test_an_endless_loop_in_a_process_is_killed_at_its_deadline(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, JOBS) as replica:
        run = enqueue(database, "faults.spin")
        wait_until(lambda: state(database, run) == "timed_out", "its end")
        goes_on(database)
        # Another line may tell of the machine, which had no time for this process.
        assert not [x for x in replica.lines(BLOCKED) if "faults.spin" in x["task"]]


def test_a_process_that_takes_all_memory_meets_its_limit(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, JOBS):
        run = enqueue(database, "faults.devour")
        wait_until(lambda: state(database, run) == "failed", "its end")
        assert "MemoryError" in error(database, run)
        goes_on(database)


def test_a_result_of_100_mb_is_refused_and_holds_nobody_up(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, JOBS, **KEPT) as replica:
        run = enqueue(database, "faults.huge")
        wait_until(lambda: state(database, run) not in ("queued", "running"), "its end")
        stored = "SELECT coalesce(length(result::text), 0) FROM sereno.run WHERE id = %s"
        assert value(database, stored, run) < 2_000_000
        goes_on(database)
        assert not replica.lines("no longer leading")


def test_a_frozen_owner_s_open_transaction_holds_no_takeover_up(
    database: str, tmp_path: Path
) -> None:
    """Its run alone waits, until the transaction is over; then another node makes it."""
    do(database, "CREATE TABLE kept (attempt integer)")
    with process(database, tmp_path, JOBS) as first:
        first.said("leading")
        with process(database, tmp_path, JOBS) as second:
            second.said("ready")
            run = enqueue(database, "faults.fenced")
            held = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
            held += " AND query LIKE 'INSERT INTO kept%'"  # the kernel's own are another matter
            wait_until(lambda: value(database, held) == 1, "the open transaction")
            first.signal(signal.SIGSTOP)
            second.said("leading")  # as the transaction stays open, and nobody else ends it
            goes_on(database)
            for_seconds(3)
            assert state(database, run) == "running"  # fenced: nobody may have it yet
            _kill(first)
            wait_until(lambda: state(database, run) == "succeeded", "the run to be made again")
    assert value(database, "SELECT array_agg(attempt) FROM kept") == [2]


def test_an_owner_that_was_superseded_cannot_commit(database: str, tmp_path: Path) -> None:
    """Frozen before its fence, it finds its run another's when it comes back."""
    do(database, "CREATE TABLE kept (attempt integer)")
    with process(database, tmp_path, "tests.faults.late_fence") as first:
        first.said("leading")
        with process(database, tmp_path, "tests.faults.late_fence") as second:
            second.said("ready")
            frozen = tmp_path / "frozen"
            run = enqueue(database, "faults.late", json.dumps({"until": str(frozen)}))
            first.said("at work")  # "running" is claimed, and may be frozen before it is called
            first.signal(signal.SIGSTOP)
            frozen.touch()
            second.said("leading")
            wait_until(lambda: state(database, run) == "succeeded", "another to make it")
            first.signal(signal.SIGCONT)
            told = ("RunSuperseded", "a run is not this node's any more")  # whichever comes first
            wait_until(lambda: any(t in first.log.read_text() for t in told), "that it is told")
            wait_until(
                lambda: first.lines("an outcome is not kept: the run is not this node's any more"),
                "the end",
            )
    assert value(database, "SELECT array_agg(attempt) FROM kept") == [2]


def named(replica: Process, job: str) -> dict[str, Any]:
    """Return the line that names `job` as what blocks the loop, once there is one: a full machine
    may have blocked it before."""
    return wait_until(
        lambda: [x for x in replica.lines(BLOCKED) if job in x["task"]], f"{job} to be named"
    )[0]


def _kill(replica: Process) -> None:
    replica.signal(signal.SIGKILL)
    replica.end()
