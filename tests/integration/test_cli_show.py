import json

import pytest

from .cli_scene import Scene, scene

__all__ = ["scene"]


@pytest.fixture
def history(scene: Scene) -> Scene:
    """Leave a schedule with slots of every verdict behind."""
    node, _ = scene.node()
    scene.term(node)
    scene.job()
    schedule = scene.schedule(trigger="every 1h")
    run = scene.run(
        state="failed", schedule_id=schedule, slot="2026-02-01T10:00:00Z", attempt=2, node=node,
        term=1, params={"site": "rome"}, error="ValueError: token=abcdef",
        traceback="Traceback: token=abcdef",
    )  # fmt: skip
    scene.sql(
        "INSERT INTO sereno.attempt (run_id, attempt, state, node, term, started_at, finished_at,"
        " error) VALUES (%s, 1, 'lost', %s, 1, '2026-02-01T10:00Z', '2026-02-01T10:00:01Z',"
        " 'gone')",
        run, node,
    )  # fmt: skip
    for n, message in enumerate(["first", "second", "third"]):
        scene.sql(
            "INSERT INTO sereno.run_log VALUES (%s, 2, %s, '2026-02-01T10:00Z', 'INFO', 'x', %s)",
            run, n, message,
        )  # fmt: skip
    scene.slot(schedule, "2026-02-01T10:00:00Z", "late", "75.0 s late", run)
    scene.slot(schedule, "2026-02-01T11:00:00Z", "skipped", "overlap: an earlier run is not over")
    scene.sql(
        "INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict, reason,"
        " term) VALUES (%s, '2026-02-01T12:00Z', '2026-02-03T12:00Z', 49, 'missed', 'too old', 1)",
        schedule,
    )
    return scene


def test_what_a_run_has_warned_of_is_shown_without_secrets(history: Scene) -> None:
    run = history.json("runs")[0]["run"]
    for n, (message, times) in enumerate([("2 rows too many", 1), ("password=abcdef", 1_200)]):
        history.sql(
            "INSERT INTO sereno.run_warning (run_id, attempt, number, message, times)"
            " VALUES (%s, 2, %s, %s, %s)",
            run, n, message, times,
        )  # fmt: skip
    shown = history.call("show", str(run)).output
    assert "warnings\n2  2 rows too many\n2  password=*** (1,200 times)\n" in shown
    facts = history.json("show", str(run))
    assert facts["warnings"] == 1_201
    assert [w["times"] for w in facts["warned"]] == [1, 1_200]
    assert "abcdef" not in str(facts["warned"])


def test_a_run_that_put_itself_off_says_how_often_and_until_when(history: Scene) -> None:
    run = history.json("runs")[0]["run"]
    history.sql(
        "UPDATE sereno.attempt SET state = 'snoozed',"
        " error = 'until 2026-02-01 10:10:00 UTC: no file' WHERE run_id = %s",
        run,
    )
    shown = history.call("show", str(run)).output
    assert "1 of at most 1,000 times" in shown
    assert "1  snoozed after" in shown
    assert "until 2026-02-01 10:10:00 UTC: no file" in shown
    assert history.json("show", str(run))["ended_attempts"][0]["state"] == "snoozed"


def test_a_run_that_went_well_and_has_warned_says_so_in_the_list(scene: Scene) -> None:
    scene.job()
    run = scene.run(state="succeeded")
    scene.sql(
        "INSERT INTO sereno.run_warning (run_id, attempt, number, message, times)"
        " VALUES (%s, 1, 0, 'x', 2)",
        run,
    )
    assert "2 warnings" in scene.call("runs").output
    assert scene.json("runs")[0]["warnings"] == 2


def test_a_run_is_told_whole(history: Scene) -> None:
    run = history.json("runs")[0]["run"]
    result = history.call("show", str(run), "--lines", "2")
    assert result.exit_code == 0, result.output
    for words in (
        f"run {run} of job 'etl.sync': failed",
        "slot      Sun 2026-02-01 10:00:00 +00:00 of schedule 'etl.sync'",
        "verdict   late, 75.0 s late",
        "replica   blue-1, term 1",
        'params    {"site":"rome"}',
        "1  lost after 1.0s on blue-1: gone",
        "2  failed after 3.2s on blue-1: ValueError: token=***",
        "Traceback: token=***",
        "info     second",
        "info     third",
    ):
        assert words in result.stdout
    assert "first" not in result.stdout
    assert "abcdef" not in result.output


def test_a_run_as_json(history: Scene) -> None:
    run = history.json("runs")[0]["run"]
    found = history.json("show", str(run))
    assert found["verdict"] == "late"
    assert [a["state"] for a in found["ended_attempts"]] == ["lost"]
    assert [line["message"] for line in found["lines"]] == ["first", "second", "third"]
    assert found["error"] == "ValueError: token=***"


def test_a_running_run_shows_its_progress(scene: Scene) -> None:
    scene.job()
    run = scene.run(state="running")
    scene.sql(
        "INSERT INTO sereno.run_progress (run_id, done, total, note) VALUES (%s, 400, 1000, 'on')",
        run,
    )
    assert "40% (400 of 1,000) on" in scene.call("runs").stdout
    assert "progress  40% (400 of 1,000) on" in scene.call("show", str(run)).stdout


def test_runs_are_filtered_by_job_and_state(scene: Scene) -> None:
    for name in ("etl.sync", "etl.hand"):
        scene.job(name)
    for name, state in (("etl.sync", "succeeded"), ("etl.sync", "failed"), ("etl.hand", "failed")):
        scene.run(name, state)
    assert [r["run"] for r in scene.json("runs")] == [3, 2, 1]
    assert [r["run"] for r in scene.json("runs", "--job", "etl.sync")] == [2, 1]
    assert [r["run"] for r in scene.json("runs", "--state", "failed", "--limit", "1")] == [3]
    both = scene.json("runs", "--state", "failed", "--state", "succeeded", "--job", "etl.hand")
    assert [r["run"] for r in both] == [3]


def test_runs_of_a_job_that_never_ran_are_none_and_of_an_unknown_one_an_error(scene: Scene) -> None:
    scene.job()
    assert scene.json("runs", "--job", "etl.sync") == []
    assert "there is no run yet; `sereno trigger JOB` asks for one" in scene.call("runs").stderr
    assert "no run of job 'etl.sync' is kept" in scene.call("runs", "etl.sync").stderr
    failed = scene.call("runs", "--state", "failed", "--state", "lost", "--job", "etl.sync")
    assert failed.stderr == "no run of job 'etl.sync' is failed or lost\n"
    result = scene.call("runs", "--job", "etl.synk")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'etl.sync'?" in result.stderr


@pytest.mark.parametrize(
    ("at", "sentences"),
    [
        (
            "2026-02-01T10:00Z",
            [
                "The slot Sun 2026-02-01 10:00:00 +00:00 of schedule 'etl.sync' ran late: 75.0 s",
                "Decided by 'blue-1', leader of term 1",
                "It followed 'every 1h', version 1 of the schedule, by the code",
                "It failed after 3.2s on 'blue-1', attempt 2.",
                "third",
            ],
        ),
        (
            "2026-02-01T11:00Z",
            ["of schedule 'etl.sync' was skipped: overlap: an earlier run is not over."],
        ),
        (
            "2026-02-02T00:00:00Z",
            ["The slot is one of 49 of schedule 'etl.sync'", "all missed: too old."],
        ),
        (
            "2026-02-01T10:30:00Z",
            [
                "At Sun 2026-02-01 10:30:00 +00:00 nothing was due of schedule 'etl.sync'.",
                "The slot before it was Sun 2026-02-01 10:00:00 +00:00 (late).",
                "The slot after it: Sun 2026-02-01 11:00:00 +00:00.",
            ],
        ),
        ("2026-02-10T11:00Z", ["was due; its verdict is not kept."]),
        ("2026-03-01T11:00Z", ["is due and has no verdict yet.", "The next leader settles it"]),
        ("2099-03-01T11:00Z", ["of schedule 'etl.sync' is still to come."]),
        ("2025-03-01T11:00Z", ["job 'etl.sync' had no schedule at"]),
    ],
)
def test_why_a_slot_did_or_did_not_run_is_told_in_sentences(
    at: str, sentences: list[str], history: Scene
) -> None:
    result = history.call("show", "etl.sync", "--at", at)
    assert result.exit_code == 0, result.output
    for sentence in sentences:
        assert sentence in result.stdout


def test_a_slot_may_be_asked_for_by_the_name_of_its_schedule(history: Scene) -> None:
    for label in ("x", "y"):
        other = history.schedule(f"etl.sync@{label}", trigger="every 1h")
        history.slot(other, "2026-02-01T10:00:00Z", "missed", f"as {label}")
    history.sql("""UPDATE sereno.schedule_version SET policies = '{"start_by": "PT600S"}'""")
    shown = history.call("show", "etl.sync@x", "--at", "2026-02-01T10:00Z").stdout
    assert "of schedule 'etl.sync@x' was missed: as x." in shown
    assert "with start_by = 10m." in shown
    assert "ran late" not in shown
    assert "as y" not in shown
    of_job = history.call("show", "etl.sync", "--at", "2026-02-01T10:00Z").stdout
    assert "ran late" in of_job
    assert "as y" in of_job
    for wrong in ("etl.sync@z", "etl.*"):
        assert history.call("show", wrong, "--at", "2026-02-01T10:00Z").exit_code == 2


def test_of_many_attempts_the_last_are_shown_and_json_has_all(history: Scene) -> None:
    run = history.json("runs")[0]["run"]
    history.sql(
        "INSERT INTO sereno.attempt (run_id, attempt, state, started_at, finished_at)"
        " SELECT %s, n, 'snoozed', '2026-02-01T10:00Z', '2026-02-01T10:00Z'"
        " FROM generate_series(2, 40) n",
        run,
    )
    shown = history.call("show", str(run)).output
    assert "20 before these, --json has them\n21  snoozed" in shown
    assert len(history.json("show", str(run))["ended_attempts"]) == 40


def test_a_window_that_is_closed_is_the_answer(scene: Scene) -> None:
    scene.job()
    scene.schedule(starts_at="2026-02-01T00:00Z", ends_at="2026-02-02T00:00Z")
    before = scene.call("show", "etl.sync", "--at", "2026-01-31T10:30:00Z").stdout
    assert "Its window opens only at Sun 2026-02-01" in before
    after = scene.call("show", "etl.sync", "--at", "2026-02-02T10:00:00Z").stdout
    assert "Its window closed at Mon 2026-02-02" in after


def test_a_slot_as_json(history: Scene) -> None:
    found = history.json("show", "etl.sync", "--at", "2026-02-01T10:00Z")
    assert [s["verdict"] for s in found["slots"]] == ["late"]
    assert found["schedules"][0]["due"] == "2026-02-01T10:00:00Z"
    assert len(found["runs"]) == 1


def test_a_slot_of_an_unknown_job_gets_a_suggestion(history: Scene) -> None:
    result = history.call("show", "etl.synk", "--at", "08:00")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'etl.sync'?" in result.stderr


def test_verify_holds_the_ledger_against_what_was_due(scene: Scene) -> None:
    scene.job()
    schedule = scene.schedule(trigger="every 6h", settled_to="2026-01-02T00:00:00Z")
    for hour in ("06", "12", "18"):
        scene.slot(schedule, f"2026-01-01T{hour}:00Z", "skipped", "paused")
    scene.slot(schedule, "2026-01-02T00:00Z", "missed", "later than its grace")
    scene.sql("UPDATE sereno.schedule_version SET ends_at = '2026-01-02T01:00Z'")
    good = scene.call("verify", "--since", "5000d")
    assert good.exit_code == 0, good.output
    assert "4 slots were due: 0 lost, 0 doubled" in good.stdout
    assert "every slot has exactly one verdict" in good.stdout
    scene.sql("DELETE FROM sereno.slot WHERE slot = '2026-01-01T12:00Z'")
    bad = scene.call("verify", "--since", "5000d")
    assert bad.exit_code == 1
    assert "4 slots were due: 1 lost, 0 doubled" in bad.stdout
    assert "lost" in bad.stdout
    assert "Thu 2026-01-01 12:00:00 +00:00" in bad.stdout
    found = json.loads(scene.call("verify", "--since", "5000d", "--json").stdout)
    assert found["holds"] is False
    assert [f["kind"] for f in found["faults"]] == ["lost"]


def test_of_a_slot_before_what_is_kept_nothing_is_pretended(history: Scene) -> None:
    history.sql("UPDATE sereno.history SET slots_kept_from = '2026-02-01T10:30Z'")
    assert "ran late" in history.call("show", "etl.sync", "--at", "2026-02-01T10:00Z").stdout
    told = history.call("show", "etl.sync", "--at", "2026-02-01T09:00Z")
    assert told.exit_code == 0
    assert told.stdout.startswith("The history is kept from Sun 2026-02-01 10:30:00 +00:00 on;")
    assert history.json("show", "etl.sync", "--at", "2026-02-01T09:00Z")["kept_from"] is not None


def test_a_job_may_follow_the_command_runs_as_it_stands_in_alerts(scene: Scene) -> None:
    for name in ("etl.sync", "etl.hand"):
        scene.job(name)
        scene.run(name)
    assert [r["job"] for r in scene.json("runs", "etl.hand")] == ["etl.hand"]
    assert [r["job"] for r in scene.json("runs", "etl.hand", "--job", "etl.hand")] == ["etl.hand"]
    both = scene.call("runs", "etl.hand", "--job", "etl.sync")
    assert (both.exit_code, both.stdout) == (2, "")
    assert "'etl.hand' and --job etl.sync are two jobs; name one" in both.stderr


def test_every_command_names_a_run_alike(scene: Scene) -> None:
    scene.job()
    asked = scene.json("trigger", "etl.sync", "-p", "site=rome")
    run = str(asked["run"])
    told = {"trigger": asked, "runs": scene.json("runs")[0], "show": scene.json("show", run)}
    told["cancel"] = scene.json("cancel", run)
    told["retry"] = scene.json("retry", run)
    again = scene.call("retry", run, "--wait", "--timeout", "0s", "--json")
    told["retry --wait"] = json.loads(again.stdout)

    shared = set.intersection(*map(set, told.values()))
    assert shared == set(told["runs"]), "what a listing tells, every command tells"
    assert {"run", "job", "state", "attempts", "duration", "progress", "slot", "cause"} <= shared
    for facts in told.values():
        assert "id" not in facts
        assert list(facts)[:3] == ["run", "job", "state"]
        assert isinstance(facts["run"], int)
        assert isinstance(facts["attempts"], int)
        assert facts["job"] == "etl.sync"
        assert set(facts["progress"]) == {"done", "total", "note"}


@pytest.mark.parametrize("verdict", ["waiting", "ran"])
def test_a_slot_whose_run_has_not_begun_is_not_said_to_have_run(scene: Scene, verdict: str) -> None:
    """Also where a version that knew no other word has written that it ran."""
    node, _ = scene.node()
    scene.term(node)
    scene.job()
    schedule = scene.schedule()
    at = "2026-02-01T10:00:00Z"
    run = scene.run(state="queued", schedule_id=schedule, slot=at, run_at=at)
    scene.slot(schedule, at, verdict, run=run)
    told = scene.call("show", "etl.sync", "--at", at).stdout
    assert f"waits for its place: its run {run} has not begun, for" in told
    assert "It is queued, and starts Sun 2026-02-01" in told
    assert "ran on time" not in told
    assert "attempt 0" not in told
    assert scene.json("show", "etl.sync", "--at", at)["slots"][0]["verdict"] == "waiting"
    page = scene.call("show", str(run)).stdout
    assert "verdict  waiting" in page
    assert "attempt  none has begun" in page
    assert scene.json("show", str(run))["verdict"] == "waiting"


def test_a_slot_whose_run_was_cancelled_while_it_waited_says_who_and_why(scene: Scene) -> None:
    node, _ = scene.node()
    scene.term(node)
    scene.job()
    schedule = scene.schedule()
    at = "2026-02-01T10:00:00Z"
    run = scene.run(state="queued", schedule_id=schedule, slot=at, run_at=at)
    scene.slot(schedule, at, "waiting", run=run)
    scene.call("cancel", str(run), "--reason", "wrong day")
    told = scene.call("show", "etl.sync", "--at", at).stdout
    assert "was skipped: cancelled by" in told
    assert ": wrong day, before it began. Its run" in told
    assert f"Its run {run} ended unbegun, at" in told
    assert "It ended unbegun: cancelled." in told
    assert "Decided by" not in told
    page = scene.call("show", str(run)).stdout
    assert ": wrong day" in page.split("cancelled by")[1].splitlines()[0]
    assert scene.json("show", str(run))["cancel_reason"] == "wrong day"
    counted = "SELECT cancelled, skipped, last_run, last_state FROM sereno.job_stat"
    assert scene.sql(counted) == [(1, 1, run, "cancelled")]
