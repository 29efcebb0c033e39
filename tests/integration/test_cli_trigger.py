import json
import signal
from datetime import UTC, datetime, timedelta

import pytest

from ..servers.waiting import wait_until
from .cli_scene import Scene, scene

__all__ = ["scene"]


def queued(scene: Scene) -> list[tuple[object, ...]]:
    return scene.sql(
        "SELECT job, cause, params, priority, unique_key, requested_by LIKE '%%@%%' FROM sereno.run"
    )


def test_a_run_is_queued_with_typed_params_and_who_asked(scene: Scene) -> None:
    scene.job()
    result = scene.call(
        "trigger", "etl.sync", "-p", "site=12", "-p", "times=5", "--priority", "7",
        "--unique-key", "today",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "of job 'etl.sync' is queued" in result.stdout
    assert queued(scene) == [("etl.sync", "person", {"site": "12", "times": 5}, 7, "today", True)]


def test_a_second_run_with_the_same_key_is_the_first(scene: Scene) -> None:
    scene.job()
    first = scene.json("trigger", "etl.sync", "--unique-key", "a")
    assert scene.json("trigger", "etl.sync", "--unique-key", "a")["run"] == first["run"]


def test_a_run_belongs_to_the_trace_that_is_given_or_else_to_the_callers(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.job()
    given, own = (f"00-{'4b' * 16}-{'0' * 15}{n}-01" for n in (1, 2))
    monkeypatch.setenv("TRACEPARENT", own)
    first = scene.json("trigger", "etl.sync", "--traceparent", given)["run"]
    assert given in scene.call("show", str(first)).stdout
    again = scene.json("trigger", "etl.sync")["run"]
    assert given not in scene.call("show", str(again)).stdout
    monkeypatch.setenv("TRACEPARENT", "what a stranger put there")
    scene.json("trigger", "etl.sync")
    found = scene.sql("SELECT trace_context FROM sereno.run ORDER BY id")
    assert found == [(given,), (own,), (None,)]


def test_a_run_can_wait_for_its_instant(scene: Scene) -> None:
    scene.job()
    found = scene.json("trigger", "etl.sync", "--at", "2100-01-01T08:00:00+02:00")
    assert found["run_at"] == "2100-01-01T06:00:00Z"
    soon = scene.json("trigger", "etl.sync", "--at", "+10m")
    away = datetime.fromisoformat(soon["run_at"]) - datetime.now(UTC)
    assert timedelta(minutes=9) < away < timedelta(minutes=11)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["etl.sync", "--at", "2020-01-01T00:00Z"], "is in the past"),
        (["etl.sync", "--at", "-5m"], "is in the past"),
        (["etl.sync", "-p", "times=0"], "job 'etl.sync': params do not fit: Expected `int` >= 1"),
        (["etl.sync", "-p", "tims=1"], "job 'etl.sync': unknown param 'tims'"),
        (["etl.sync", "--params", "[1]"], "--params: it must be a JSON object"),
        (["etl.sync", "--traceparent", "00-x"], "'00-x' is no traceparent, write it like 00-4bf9"),
        (["etl.synk"], "there is no job 'etl.synk' in this database, did you mean 'etl.sync'?"),
        (["etl.new"], "job 'etl.new' is declared here, but no replica has brought it"),
        (["zzz"], "there is no job 'zzz' in this database; `sereno jobs` lists them"),
    ],
)
def test_what_cannot_be_queued_gets_a_sentence_and_nothing_is_written(
    args: list[str], sentence: str, scene: Scene
) -> None:
    scene.job()
    result = scene.call("trigger", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert queued(scene) == []


def test_a_job_that_only_other_machines_declare_is_judged_by_the_database(scene: Scene) -> None:
    scene.job("other.job")
    params = '{"day": {"type": "string", "required": true}}'
    scene.sql("UPDATE sereno.job SET params = %s WHERE name = 'other.job'", params)
    result = scene.call("trigger", "other.job")
    assert result.exit_code == 2
    assert "job 'other.job': param 'day' is missing" in result.stderr
    assert scene.call("trigger", "other.job", "-p", "day=2026-01-01").exit_code == 0


def test_waiting_ends_with_the_run_and_its_result(scene: Scene) -> None:
    scene.job()

    def work(scene: Scene, run: int) -> None:
        scene.finish(run, result={"processed": 100}, term=1)

    with scene.leading(), scene.when_queued(work):
        result = scene.call("trigger", "etl.sync", "--wait", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["state"] == "succeeded"
    assert found["result"] == {"processed": 100}
    assert found["duration"] == 1.5
    assert found["attempts"] == 1
    assert found["error"] is None


def test_waiting_for_a_run_that_fails_ends_with_1_and_its_error(scene: Scene) -> None:
    scene.job()

    def work(scene: Scene, run: int) -> None:
        scene.finish(run, "failed", error="ValueError: password=hunter2 was refused")

    with scene.leading(), scene.when_queued(work):
        result = scene.call("trigger", "etl.sync", "--wait")
    assert result.exit_code == 1
    assert "of job 'etl.sync' failed after 1.5s" in result.stdout
    assert "ValueError: password=*** was refused" in result.stdout
    assert "shows the traceback and the log" in result.stderr


@pytest.mark.parametrize("state", ["timed_out", "cancelled", "lost"])
def test_whatever_is_no_success_ends_with_1(state: str, scene: Scene) -> None:
    scene.job()

    def work(scene: Scene, run: int) -> None:
        scene.finish(run, state)

    with scene.leading(), scene.when_queued(work):
        result = scene.call("trigger", "etl.sync", "--wait", "--json")
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (1, state)


def test_waiting_without_a_leader_says_so_once_and_goes_on(scene: Scene) -> None:
    scene.job()
    with scene.started("trigger", "etl.sync", "--wait") as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said == "no replica leads; `sereno run` starts one, run 1 is queued\n"
        ((waited,),) = scene.sql("SELECT now() - queued_at FROM sereno.run")
        assert waited >= timedelta(seconds=2)  # no less: the lead may be changing hands
        with scene.leading():
            scene.finish(scene.sql("SELECT id FROM sereno.run")[0][0])
            rest = process.communicate(timeout=30)[1]
    assert (process.returncode, rest) == (0, "")


def test_ctrl_c_ends_the_waiting_and_not_the_run(scene: Scene) -> None:
    scene.job()
    with scene.started("trigger", "etl.sync", "--wait") as process:
        wait_until(lambda: queued(scene), "the run to be queued")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    assert len(queued(scene)) == 1


def test_retry_queues_the_same_params_again(scene: Scene) -> None:
    scene.job()
    old = scene.run(state="failed", params={"site": "rome"}, priority=3)
    found = scene.json("retry", str(old))
    assert (found["run"], found["state"], found["again"]) == (old + 1, "queued", old)
    assert scene.sql(
        "SELECT cause, params, priority, requested_by LIKE %s FROM sereno.run WHERE id = %s",
        f"%, run {old} again", old + 1,
    ) == [("retry", {"site": "rome"}, 3, True)]  # fmt: skip


def test_a_repetition_is_of_the_same_slot_and_has_all_that_the_first_was_given(
    scene: Scene,
) -> None:
    scene.job()
    schedule = scene.schedule()
    at = "2026-02-01T10:00:00Z"
    first = scene.run(
        state="failed", schedule_id=schedule, slot=at, priority=3, params={"site": "rome"},
        policies={"timeout": "PT9S"}, concurrency_key=f"schedule {schedule}",
        upstream={"etl.load": {"rows": 3}}, trace_context="00-1-2-01",
    )  # fmt: skip
    scene.slot(schedule, at, "ran", run=first)
    again = scene.json("retry", str(first))["run"]
    given = (
        "SELECT job, schedule_id, slot, priority, params, policies, concurrency_key, upstream,"
        " trace_context FROM sereno.run WHERE id = %s"
    )
    assert scene.sql(given, again) == scene.sql(given, first)
    kept = "SELECT cause, state, attempt, repeats FROM sereno.run WHERE id = %s"
    assert scene.sql(kept, again) == [("retry", "queued", 0, first)]
    assert f"repeats       run {first}" in scene.call("show", str(again)).stdout
    found = scene.json("show", str(again))
    assert (found["repeats"], found["slot"], found["schedule"]) == (first, at, "etl.sync")
    assert scene.json("show", str(first))["repeats"] is None
    assert scene.sql("SELECT verdict, run_id FROM sereno.slot") == [("ran", first)]


def test_a_repetition_of_a_repetition_says_which_was_repeated(scene: Scene) -> None:
    scene.job()
    first = scene.run(state="failed")
    second = scene.json("retry", str(first))["run"]
    scene.sql("UPDATE sereno.run SET state = 'lost' WHERE id = %s", second)
    third = scene.json("retry", str(second))["run"]
    assert scene.json("show", str(third))["repeats"] == second


def test_a_run_whose_job_is_gone_is_not_repeated(scene: Scene) -> None:
    scene.job(present=False)
    first = scene.run(state="failed")
    result = scene.call("retry", str(first))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "unknown job 'etl.sync'" in result.stderr
    assert scene.sql("SELECT count(*) FROM sereno.run") == [(1,)]


def test_retry_can_wait(scene: Scene) -> None:
    scene.job()
    old = scene.run(state="failed")
    with scene.leading(), scene.when_queued(lambda scene, run: scene.finish(run)):
        result = scene.call("retry", str(old), "--wait")
    assert result.exit_code == 0
    assert "succeeded after 1.5s" in result.stdout


def test_a_run_that_is_not_over_is_not_queued_again(scene: Scene) -> None:
    scene.job()
    run = scene.run(state="queued")
    result = scene.call("retry", str(run))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"run {run} is queued; only a finished run can be queued again" in result.stderr


def test_a_queued_run_is_cancelled_at_once_and_a_running_one_is_asked(scene: Scene) -> None:
    scene.job()
    waiting, running = scene.run(state="queued"), scene.run(state="running")
    assert f"run {waiting} is cancelled" in scene.call("cancel", str(waiting)).stdout
    result = scene.call("cancel", str(running), "--reason", "wrong day")
    assert f"run {running} is asked to stop" in result.stdout
    assert scene.sql("SELECT run_id, reason FROM sereno.cancel_request ORDER BY 1") == [
        (waiting, None),
        (running, "wrong day"),
    ]
    assert scene.json("show", str(waiting))["state"] == "cancelled"
    assert "wrong day" in scene.call("show", str(running)).stdout


def test_what_is_over_or_unknown_cannot_be_cancelled(scene: Scene) -> None:
    scene.job()
    run = scene.run()
    result = scene.call("cancel", str(run))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"run {run} is over already: succeeded" in result.stderr
    for command in ("cancel", "retry", "show"):
        result = scene.call(command, "999")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "there is no run 999; `sereno runs` lists the newest" in result.stderr


def test_waiting_tells_of_attempts_that_fail_and_when_the_next_begins(scene: Scene) -> None:
    scene.job()
    with scene.leading(), scene.started("trigger", "etl.sync", "--wait") as process:
        wait_until(lambda: scene.sql("SELECT 1 FROM sereno.run"), "a run")
        scene.sql(
            "WITH failed AS (INSERT INTO sereno.attempt"
            " (run_id, attempt, state, started_at, finished_at, error)"
            " VALUES (1, 1, 'failed', now() - interval '1.5 s', now(), E'OSError: away\\nmore'))"
            " UPDATE sereno.run SET attempt = 1, run_at = now() + interval '90 min'"
        )
        assert process.stderr is not None
        assert process.stderr.readline() == "attempt 1 failed after 1.5s: OSError: away ...\n"
        begins = process.stderr.readline()
        assert begins.startswith("attempt 2 begins in 1h")
        assert begins.endswith("; `sereno cancel 1` stops it\n")
        scene.finish(1)
        out, rest = process.communicate()
    assert (process.returncode, rest) == (0, "")
    assert "run 1 of job 'etl.sync' succeeded after 1.5s in attempt 2" in out


def test_waiting_ends_at_its_limit_and_the_run_goes_on(scene: Scene) -> None:
    scene.job()
    with scene.leading():
        result = scene.call("trigger", "etl.sync", "--wait", "--timeout", "300ms")
        as_json = scene.call("trigger", "etl.sync", "--wait", "--timeout", "0s", "--json")
    assert (result.exit_code, as_json.exit_code) == (1, 1)
    assert "run 1 of job 'etl.sync' is still queued" in result.stdout
    assert "run 1 goes on; `sereno show 1` tells of it, `sereno cancel 1` stops it" in result.stderr
    assert json.loads(as_json.stdout)["state"] == "queued"
    assert scene.sql("SELECT state FROM sereno.run ORDER BY id") == [("queued",)] * 2


def test_a_limit_without_waiting_is_refused(scene: Scene) -> None:
    scene.job()
    for args in (["trigger", "etl.sync"], ["retry", "1"]):
        result = scene.call(*args, "--timeout", "1m")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "--timeout says how long --wait waits" in result.stderr
    assert queued(scene) == []


def test_waiting_waits_for_a_replica_to_bring_the_job_too(scene: Scene) -> None:
    result = scene.call("trigger", "etl.new", "--wait", "--timeout", "300ms")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no replica has brought job 'etl.new' yet; `sereno run` starts one, waiting" in (
        result.stderr
    )
    assert "job 'etl.new' is declared here, but no replica has brought it" in result.stderr
