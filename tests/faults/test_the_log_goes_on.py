"""Whatever a plugin or a job does to logging, the node's log and what is kept of runs go on."""

import json
from pathlib import Path

import pytest

from ..planting import plant
from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .meddling_log import ACTS
from .process import Process, process

JOBS = "tests.faults.meddling_log"
KEPT = (
    "SELECT coalesce(array_agg(message ORDER BY line), '{}') FROM sereno.run_log WHERE run_id = %s"
)
LOGGERS = "SELECT array_agg(DISTINCT logger) FROM sereno.run_log WHERE run_id = %s"
SAID = ["by its own logger", "by a library's logger"]

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def ended(dsn: str, job: str, **params: str) -> int:
    """Return a run that is over, whatever became of it."""
    run = enqueue(dsn, job, json.dumps(params))
    wait_until(lambda: state(dsn, run) not in ("queued", "running"), f"the end of run {run}")
    return run


def told(replica: Process, event: str, run: int) -> None:
    wait_until(lambda: any(x.get("run") == run for x in replica.lines(event)), f"{event} of {run}")


def lines_are_json(replica: Process) -> None:
    for line in replica.log.read_text().splitlines():
        assert line.startswith("{"), line


@pytest.mark.parametrize("how", ACTS)
def test_after_a_job_that_sets_logging_anew_later_runs_keep_their_lines(
    database: str, tmp_path: Path, how: str
) -> None:
    with process(database, tmp_path, JOBS) as replica:
        replica.said("leading")
        first = ended(database, "log.meddle", how=how)
        assert state(database, first) == "succeeded"
        run = ended(database, "log.says")
        assert value(database, KEPT, run) == SAID
        told(replica, "by its own logger", run)
        told(replica, "run succeeded", run)
        if how != "close":  # which touches nothing of the kernel's
            named = replica.said("logging was set anew, the node's own goes on")
            assert named["by"] in (
                f"run {first} of job 'log.meddle'",
                "a plugin, or a run that has ended",
                f"one of run {first} of job 'log.meddle'",
            )
            problems = replica.page("/health").json()["problems"]
            assert any("it goes on: logging belongs to the whole process" in p for p in problems)


@pytest.mark.parametrize("how", ACTS)
def test_a_plugin_that_sets_logging_anew_as_it_is_imported_is_named(
    database: str, tmp_path: Path, how: str
) -> None:
    plant(tmp_path / "site", f"from {JOBS} import *", "meddler")
    others = (
        '["cleanup", "console", "etl_ivr", "notify", "reports"]'  # have tables or pages to make
    )
    given = {"MEDDLING_IMPORT": how, "SERENO_DISABLED_PLUGINS": others}
    with process(database, tmp_path, JOBS, site=tmp_path / "site", **given) as replica:
        replica.said("leading")
        if how != "close":
            named = replica.said("logging was set anew, the node's own goes on")
            assert named["by"] == "plugin 'meddler'"
        run = ended(database, "log.says")
        assert value(database, KEPT, run) == SAID
        told(replica, "by its own logger", run)


def test_a_process_that_sets_logging_anew_keeps_its_lines(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, JOBS) as replica:
        replica.said("leading")
        for how in ("dictConfig", "basicConfig", "disable", "disable loggers"):
            run = ended(database, "log.meddle_in_process", how=how)
            assert "by its own logger" in value(database, KEPT, run), how


@pytest.mark.parametrize("where", ["loop", "thread", "process"])
def test_what_a_job_prints_is_kept_as_lines_of_its_run_and_is_json_in_the_log(
    database: str, tmp_path: Path, where: str
) -> None:
    with process(database, tmp_path, JOBS) as replica:
        replica.said("leading")
        run = ended(database, f"log.prints_in_{where}")
        assert state(database, run) == "succeeded"
        kept = value(database, KEPT, run)
        assert kept[:2] == ["it prints", "a word and another"]
        assert "hunter2" not in kept[2]
        assert kept[3] == "100 %"
        assert len(kept[4]) < 10_000
        assert "no end of line" in kept[5:]
        assert where != "loop" or "from a thread of its own" in kept
        assert sorted(value(database, LOGGERS, run)) == ["stderr", "stdout"]
        told(replica, "it prints", run)
        if where == "thread":
            replica.said("from nobody's thread")
        lines_are_json(replica)


def test_a_job_that_replaces_the_streams_costs_later_runs_no_line(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, JOBS) as replica:
        replica.said("leading")
        culprit = ended(database, "log.replaces")
        named = replica.said("logging was set anew, the node's own goes on")
        assert named["act"] == "replaced sys.stdout and sys.stderr"
        assert named["by"] in (
            f"one of run {culprit} of job 'log.replaces'",
            f"run {culprit} of job 'log.replaces'",
            "a plugin, or a run that has ended",
        )
        run = ended(database, "log.prints_in_loop")
        assert value(database, KEPT, run)[:2] == ["it prints", "a word and another"]


def test_a_job_that_catches_what_is_printed_is_let_do_so(database: str, tmp_path: Path) -> None:
    until = tmp_path / "until"
    with process(database, tmp_path, JOBS) as replica:
        run = enqueue(database, "log.redirects", json.dumps({"until": str(until)}))
        replica.said("catching")
        for _ in range(3):
            ended(database, "log.says")  # before which the streams are looked at
        until.touch()
        wait_until(lambda: state(database, run) == "succeeded", "the run to end")
        assert value(database, "SELECT result FROM sereno.run WHERE id = %s", run) == "caught\n"
        assert not replica.lines("logging was set anew, the node's own goes on")


def test_what_is_kept_of_a_run_has_a_level_of_its_own(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, JOBS, SERENO_LOG__LEVEL="error") as replica:
        run = ended(database, "log.says")
        assert value(database, KEPT, run) == SAID
        told(replica, "run ended badly", ended(database, "log.fails"))
        assert not replica.lines("by its own logger")
    with process(database, tmp_path, JOBS, SERENO_LOG__KEEP_LEVEL="error") as replica:
        run = ended(database, "log.says")
        told(replica, "by its own logger", run)
        assert value(database, KEPT, run) == []


def test_a_failure_is_told_as_an_error_with_its_traceback_and_a_success_as_asked(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, JOBS, SERENO_LOG__SUCCESS_LEVEL="debug") as replica:
        run = ended(database, "log.fails")
        told(replica, "run ended badly", run)
        line = replica.lines("run ended badly")[-1]
        assert line["level"] == "error"
        assert "in fails\n" in line["traceback"]
        ended(database, "log.says")
        told(replica, "run ended badly", ended(database, "log.fails"))
        assert not replica.lines("run succeeded")
