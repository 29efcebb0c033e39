"""What a job changes of its process costs no other run, and the node ends as it should."""

import json
import signal
from pathlib import Path

import pytest

from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .meddling_state import CHANGES
from .process import process

JOBS = "tests.faults.meddling_state"
TICKED = """
    SELECT count(*) FROM sereno.run
     WHERE job = 'state.tick' AND state = 'succeeded' AND finished_at > %s
"""
CLOCKS = [what for what in CHANGES if what.startswith("time.")]

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    "changes",
    [*([clock] for clock in CLOCKS), [what for what in CHANGES if what not in CLOCKS]],
    ids=[*CLOCKS, "all else"],
)
def test_whatever_a_job_changes_of_its_process_the_node_goes_on(
    database: str, tmp_path: Path, changes: list[str]
) -> None:
    def ended(run: int, what: str) -> str:
        wait_until(lambda: state(database, run) not in ("queued", "running"), f"{what}: {run}")
        return state(database, run)

    # What is nice leaves a full machine to others for so long that it costs a short lease.
    with process(database, tmp_path, JOBS, SERENO_LEASE="60s") as replica:
        replica.said("ready")
        for what in changes:
            ended(enqueue(database, "state.change", json.dumps({"what": what})), what)
            now = value(database, "SELECT clock_timestamp()")
            wait_until(lambda now=now: value(database, TICKED, now) >= 1, f"others after {what}")
        for job in ("state.thread", "state.process"):
            assert ended(enqueue(database, job), job) == "succeeded"
        for path in ("/health/liveness", "/metrics"):
            assert replica.page(path).status_code == 200
        assert value(database, "SELECT max(term) FROM sereno.term") == 1
        if "stack" in changes:
            told = replica.lines(
                "a limit of the process was lowered, and is put back: a job has set it"
            )
            assert {line["limit"] for line in told} >= {"RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_STACK"}
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0
