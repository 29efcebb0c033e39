"""Many runs are cancelled and queued again from the command line: seen, confirmed, followed."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ..servers.waiting import wait_until
from .cli_scene import Scene, scene

__all__ = ["scene"]


@pytest.fixture
def runs(scene: Scene) -> Scene:
    """Three runs that wait, one that failed, of one job."""
    scene.job()
    for _ in range(3):
        scene.run(state="queued", cause="program")
    scene.run(state="failed", error="disk full")
    return scene


@contextmanager
def followed(scene: Scene, statement: str) -> Iterator[None]:
    """Do `statement` once a bulk is there, beside the test, as a leader would."""

    def work() -> None:
        wait_until(lambda: bool(scene.sql("SELECT 1 FROM sereno.bulk")), "a bulk")
        scene.sql(statement)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        worker.join()


DONE = "UPDATE sereno.bulk SET state = 'done', matched = 3, done = 3, finished_at = now()"
FAILED = (
    "UPDATE sereno.bulk SET state = 'done', matched = 3, done = 2, failed = 1,"
    " error = 'run 1: unknown job', finished_at = now()"
)
STOPPED = "UPDATE sereno.bulk SET state = 'cancelled', cancelled_by = 'bob', finished_at = now()"
MANY = ("cancel", "--job", "etl.*", "--reason", "wrong day")


def test_many_runs_are_cancelled_after_a_preview_and_followed_to_the_end(runs: Scene) -> None:
    with followed(runs, DONE):
        result = runs.call(*MANY, "--state", "queued", "--yes")
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("this will cancel 3 runs: job etl.*, queued\n")
    assert result.stdout == "bulk 1: 3 of 3 runs are cancelled, or asked to stop\n"
    kept = runs.sql("SELECT action, filter, reason, expected FROM sereno.bulk")
    assert kept == [("cancel", {"job": "etl.*", "states": ["queued"]}, "wrong day", 3)]


def test_without_a_terminal_nothing_is_done_until_it_is_confirmed(runs: Scene) -> None:
    result = runs.call(*MANY)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "this would cancel 3 runs: job etl.*, queued or running; say --yes" in result.stderr
    assert runs.sql("SELECT count(*) FROM sereno.bulk") == [(0,)]


def test_runs_that_failed_are_queued_again_and_each_filter_is_kept(runs: Scene) -> None:
    with followed(runs, DONE):
        found = runs.json(
            "retry", "--job", "etl.sync", "--error", "DISK", "--since", "2020-01-01T00:00Z",
            "--reason", "it is empty again", "--yes",
        )  # fmt: skip
    assert (found["action"], found["state"], found["expected"]) == ("retry", "done", 1)
    assert found["filter"] == {
        "job": "etl.sync", "states": ["failed", "timed_out", "lost"], "error": "DISK",
        "since": "2020-01-01T00:00:00Z",
    }  # fmt: skip


def test_a_bulk_that_did_not_go_well_is_told_with_exit_code_1(runs: Scene) -> None:
    with followed(runs, FAILED):
        refused = runs.call(*MANY, "--yes")
    assert refused.exit_code == 1
    assert "bulk 1: 1 runs refused it, the first of them: run 1: unknown job" in refused.stderr
    runs.sql("DELETE FROM sereno.bulk")
    with followed(runs, STOPPED):
        stopped = runs.call(*MANY, "--yes")
    assert stopped.exit_code == 1
    assert "bulk 2 is cancelled: by bob" in stopped.stderr


def test_a_filter_that_finds_nothing_does_nothing(runs: Scene) -> None:
    result = runs.call(*MANY, "--error", "no such", "--yes")
    assert (result.exit_code, result.stderr) == (0, "no run is so; nothing was done\n")
    assert runs.sql("SELECT count(*) FROM sereno.bulk") == [(0,)]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["cancel"], "name a run, or say by a filter which runs"),
        (["retry"], "name a run, or say by a filter which runs"),
        (["cancel", "1", "--job", "etl.sync"], "run 1 is named, and a filter besides (job)"),
        (["retry", "4", "--state", "failed"], "run 4 is named, and a filter besides (states)"),
        (["retry", "4", "--reason", "x"], "--reason is for many runs"),
        (["cancel", "--job", "etl.sync", "--yes"], "say it by --reason TEXT"),
        (["retry", "--job", "etl.sync", "--reason", "x", "--wait"], "--wait is for one run"),
        (["cancel", "--state", "failed", "--reason", "x"], "runs that are failed are over"),
        (["cancel", "--job", "etl.sink", "--reason", "x"], "did you mean 'etl.sync'?"),
        (["bulks", "--cancel", "9"], "there is no bulk 9; `sereno bulks` lists them"),
    ],
)
def test_what_is_no_bulk_is_a_sentence(runs: Scene, args: list[str], sentence: str) -> None:
    result = runs.call(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert runs.sql("SELECT count(*) FROM sereno.bulk") == [(0,)]


def test_ctrl_c_leaves_a_bulk_going_and_says_how_to_stop_it(runs: Scene) -> None:
    with runs.started("cancel", "--state", "queued", "--reason", "x", "--yes") as process:
        wait_until(lambda: bool(runs.sql("SELECT 1 FROM sereno.bulk")), "a bulk")
        assert process.stderr is not None
        said = [process.stderr.readline()]
        while "no replica leads" not in said[-1]:
            said.append(process.stderr.readline())
        os.kill(process.pid, signal.SIGINT)
        _, rest = process.communicate(timeout=50)
    assert process.returncode == 130
    assert "bulk 1 goes on; `sereno bulks --cancel 1` stops it" in rest
    assert runs.sql("SELECT state FROM sereno.bulk") == [("queued",)]
    stopped = runs.call("bulks", "--cancel", "1")
    assert stopped.stdout == "bulk 1 is cancelled; 0 runs were changed before, and stay so\n"
    again = runs.call("bulks", "--cancel", "1")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "bulk 1 is over already: cancelled" in again.stderr


def test_bulks_are_listed_the_newest_first_as_text(runs: Scene) -> None:
    assert "there is no bulk" in runs.call("bulks").stderr
    runs.sql(
        "INSERT INTO sereno.bulk (action, filter, reason, requested_by, place, done) VALUES"
        " ('cancel', '{\"job\": \"a\"}', 'x', 'ana@blue', 1, 1234),"
        " ('retry', '[1]', E'\\x1b[2J', E'eve\\x1b', 1, 0)"
    )
    listed = runs.call("bulks")
    lines = listed.stdout.splitlines()
    assert lines[0].split()[:6] == ["BULK", "ACTION", "STATE", "DONE", "FAILED", "MATCHED"]
    assert [line.split()[:4] for line in lines[1:]] == [
        ["2", "retry", "queued", "0"], ["1", "cancel", "queued", "1,234"],
    ]  # fmt: skip
    assert "\x1b" not in listed.output
    assert [bulk["id"] for bulk in runs.json("bulks", "--limit", "1")] == [2]
