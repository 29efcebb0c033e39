import json
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from .cli_scene import Scene, scene

__all__ = ["scene"]

SOON = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
LATER = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")


def written(scene: Scene) -> list[tuple[object, ...]]:
    return scene.sql(
        "SELECT (SELECT count(*) FROM sereno.schedule), (SELECT count(*) FROM sereno.change),"
        " (SELECT max(version) FROM sereno.schedule_version)"
    )


def newest(scene: Scene, name: str) -> tuple[object, ...]:
    return scene.sql(
        "SELECT v.trigger, v.params, v.policies, v.starts_at IS NOT NULL, v.ends_at IS NOT NULL,"
        " v.jitter FROM sereno.schedule s JOIN sereno.schedule_version v"
        " ON v.schedule_id = s.id AND v.version = s.version WHERE s.name = %s",
        name,
    )[0]


def test_a_person_adds_a_schedule_with_params_window_jitter_and_policies(scene: Scene) -> None:
    scene.job()
    result = scene.call(
        "schedule", "add", "etl.sync", "0 8 * * * Europe/Madrid", "--label", "madrid",
        "-p", "site=12", "--start", SOON, "--end", LATER, "--jitter", "30s",
        "--policy", "grace=5m", "--policy", "retry=3", "--policy", "max_running=2",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "schedule 'etl.sync@madrid' is added, its first slot is" in result.stdout
    trigger, params, policies, start, end, jitter = newest(scene, "etl.sync@madrid")
    assert trigger == "cron 0 8 * * * Europe/Madrid"
    assert params == {"site": "12", "times": 1}
    assert isinstance(policies, dict)
    assert policies["grace"] == "PT300S"
    assert policies["retry"]["attempts"] == 3
    assert policies["max_running"] == 2
    assert (start, end, jitter) == (True, True, timedelta(seconds=30))
    (found,) = scene.json("schedule", "list")
    assert (found["name"], found["origin"], found["state"]) == (
        "etl.sync@madrid", "user", "active",
    )  # fmt: skip


def test_a_trigger_needs_no_quotes_and_a_label_is_optional(scene: Scene) -> None:
    scene.job()
    found = scene.json("schedule", "add", "etl.sync", "every", "6h")
    assert (found["schedule"], found["trigger"]) == ("etl.sync", "every 6h")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["once 2020-01-01T00:00:00Z"], "'once 2020-01-01T00:00:00Z' has no slot to come, it is"),
        (["every 6h", "--end", "2020-01-01"], "has no slot to come within its window"),
        (["every 6h", "--start", LATER, "--end", SOON], "the window is empty"),
        (["once", SOON, "--start", LATER], "has no slot to come within its window"),
        (["evry 6h"], "unknown kind 'evry', did you mean 'every'?"),
        (["every 0s"], "interval 0s: it must be at least 10ms"),
        (["every -5m"], "duration '-5m': it is negative"),
        (["0 8 31 2 *"], "never"),
        (["every 6h", "-p", "tims=1"], "job 'etl.sync': unknown param 'tims', did you mean"),
        (["every 6h", "-p", "times=0"], "job 'etl.sync': params do not fit"),
        (["every 6h", "--policy", "grase=5m"], "unknown policy 'grase', did you mean 'grace'?"),
        (["every 6h", "--policy", "grace=soon"], "grace is 'soon'"),
        (["every 6h", "--policy", "overlap"], "policy 'overlap': write it as key=value"),
        (
            ["every 6h", "--policy", "executor=gpu"],
            "unknown executor 'gpu'; known are async, thread, process",
        ),
        (["every 6h", "--jitter", "1y"], "duration '1y'"),
        (["every 6h", "--label", "a b"], "or 'etl.sync@' and a label of letters, digits"),
        (["every 6h", "--label", "taken"], "there is a schedule 'etl.sync@taken' already"),
    ],
)
def test_what_cannot_be_scheduled_gets_a_sentence_and_nothing_is_written(
    args: list[str], sentence: str, scene: Scene
) -> None:
    scene.job()
    scene.schedule("etl.sync@taken")
    before = written(scene)
    result = scene.call("schedule", "add", "etl.sync", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert written(scene) == before


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        ("etl.synk", "there is no job 'etl.synk', did you mean 'etl.sync'?"),
        ("etl.new", "job 'etl.new' is declared here, but no replica has brought it"),
        ("etl.sync", "job 'etl.sync' is not declared by the replica that led last"),
    ],
)
def test_a_job_that_the_leader_does_not_know_gets_no_schedule(
    job: str, sentence: str, scene: Scene
) -> None:
    scene.job(present=False)
    result = scene.call("schedule", "add", job, "every 6h")
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert written(scene)[0][0] == 0


def test_a_change_lays_itself_over_what_is_declared_and_a_reset_takes_it_back(
    scene: Scene,
) -> None:
    scene.job()
    scene.call("schedule", "add", "etl.sync", "every 6h", "--jitter", "10s", "-p", "times=2")
    scene.json("schedule", "change", "etl.sync", "--trigger", "every 5m", "-p", "site=12")
    assert newest(scene, "etl.sync")[:2] == ("every 5m", {"site": "12", "times": 2})
    scene.json("schedule", "change", "etl.sync", "--policy", "grace=5m")
    scene.json("schedule", "change", "etl.sync", "--policy", "overlap=queue", "--jitter", "0s")
    found = newest(scene, "etl.sync")
    assert found[2] == {"grace": "PT300S", "overlap": "queue"}
    assert found[5] is None
    assert scene.json("schedule", "list")[0]["overridden"]
    scene.json("schedule", "change", "etl.sync", "--reset", "params", "--reset", "jitter")
    found = newest(scene, "etl.sync")
    assert found[:2] == ("every 5m", {"site": "madrid", "times": 2})
    assert found[5] == timedelta(seconds=10)
    scene.json("schedule", "change", "etl.sync", "--reset", "all")
    assert newest(scene, "etl.sync")[:3] == ("every 6h", {"site": "madrid", "times": 2}, {})
    assert not scene.json("schedule", "list")[0]["overridden"]


def test_a_window_can_be_set_and_taken_away(scene: Scene) -> None:
    scene.job()
    scene.call("schedule", "add", "etl.sync", "every 6h", "--end", LATER)
    scene.json("schedule", "change", "etl.sync", "--start", SOON, "--end", "none")
    assert newest(scene, "etl.sync")[3:5] == (True, False)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "nothing to change is named"),
        (["--trigger", "once 2020-01-01T00:00:00Z"], "has no slot to come"),
        (["--start", LATER, "--end", SOON], "the window is empty"),
        (["--end", "2020-01-01"], "has no slot to come within its window"),
        (["-p", "times=0"], "params do not fit"),
        (["--policy", "grase=1m"], "unknown policy 'grase'"),
        (["--reset", "colour"], "'colour' is not one of"),
    ],
)
def test_a_change_that_cannot_be_leaves_the_schedule_as_it_is(
    args: list[str], sentence: str, scene: Scene
) -> None:
    scene.job()
    scene.schedule()
    before = written(scene)
    result = scene.call("schedule", "change", "etl.sync", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert written(scene) == before


def test_a_change_of_a_paused_schedule_leaves_the_pause_and_its_end(scene: Scene) -> None:
    scene.job()
    scene.schedule()
    scene.call("pause", "etl.sync", "--until", LATER)
    result = scene.call("schedule", "change", "etl.sync", "--trigger", "every 5m")
    assert "is changed, and still paused" in result.stdout
    until = scene.sql("SELECT state, paused_until FROM sereno.schedule")[0]
    assert until == ("paused", datetime.fromisoformat(LATER))


def test_of_several_schedules_one_must_be_named(scene: Scene) -> None:
    scene.job()
    scene.schedule("etl.sync@a")
    scene.schedule("etl.sync@b")
    result = scene.call("schedule", "change", "etl.sync", "--trigger", "every 5m")
    assert result.exit_code == 2
    assert "job 'etl.sync' has several schedules: etl.sync@a, etl.sync@b" in result.stderr
    assert scene.call("schedule", "change", "nothing", "--trigger", "6h").exit_code == 2


def test_what_a_person_made_is_removed_and_its_name_is_free_again(scene: Scene) -> None:
    scene.job()
    scene.call("schedule", "add", "etl.sync", "every 6h", "--label", "x")
    assert scene.json("schedule", "remove", "etl.sync@x") == {"removed": "etl.sync@x", "ended": []}
    assert scene.json("schedule", "list") == []
    assert scene.call("schedule", "remove", "etl.sync@x").exit_code == 2
    assert scene.call("schedule", "add", "etl.sync", "every 1h", "--label", "x").exit_code == 0
    assert [s["name"] for s in scene.json("schedule", "list")] == ["etl.sync@x"]


def test_what_a_plugin_declares_is_not_removed(scene: Scene) -> None:
    scene.job()
    scene.schedule()
    result = scene.call("schedule", "remove", "etl.sync")
    assert result.exit_code == 2
    assert "schedule 'etl.sync' is declared by a plugin; pause it" in result.stderr


def test_the_list_tells_who_made_each_and_what_was_changed(scene: Scene) -> None:
    scene.job()
    scene.job("etl.new")
    scene.schedule()
    scene.schedule("etl.new", "every 2h", state="paused")
    scene.sql("UPDATE sereno.schedule SET overrides = %s WHERE name = 'etl.sync'", Jsonb({"a": 1}))
    out = scene.call("schedule", "list").stdout
    assert "plugin (changed)" in out
    assert "paused" in out
    assert [s["name"] for s in scene.json("schedule", "list", "--job", "etl.new")] == ["etl.new"]


def test_who_changed_it_and_why_is_kept(scene: Scene) -> None:
    scene.job()
    scene.call("schedule", "add", "etl.sync", "every 6h", "--reason", "the audit")
    scene.call("schedule", "change", "etl.sync", "--trigger", "6m", "--reason", "too slow")
    found = scene.sql("SELECT action, reason, by LIKE '%%@%%' FROM sereno.change ORDER BY id")
    assert found == [("create", "the audit", True), ("override", "too slow", True)]


def test_global_options_stand_behind_a_command_of_the_group_too(scene: Scene) -> None:
    scene.job()
    result = scene.call("schedule", "list", "--log-level", "debug", "--json")
    assert result.exit_code == 0, result.output


def test_a_pause_of_one_schedule_names_the_others_of_the_job_that_go_on(scene: Scene) -> None:
    scene.job()
    for name in ("etl.sync", "etl.sync@a", "etl.sync@b"):
        scene.schedule(name)
    scene.call("pause", "etl.sync@b")
    result = scene.call("pause", "etl.sync")
    assert result.stdout.startswith("schedule 'etl.sync' is paused")
    assert "of the job 'etl.sync' these go on: etl.sync@a; pause them" in result.stderr
    result = scene.call("pause", "etl.sync@a")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_blackout_of_a_pattern_that_nothing_is_like_says_so(scene: Scene) -> None:
    scene.job()
    scene.schedule()
    for pattern, told in (("etl.*", False), ("*.sync", False), ("elt.*", True)):
        result = scene.call("blackout", "add", pattern, "--for", "1h", "--reason", "new disks")
        assert (result.exit_code, f"of {pattern} is made" in result.stdout) == (0, True)
        assert (f"is like '{pattern}' yet" in result.stderr) == told
    assert len(scene.json("blackout", "list")) == 3


def test_a_filter_that_names_nothing_known_is_an_error_with_a_suggestion(scene: Scene) -> None:
    scene.job("etl.sync")
    scene.schedule("etl.sync")
    scene.job("etl.hand")
    for args, sentence in (
        (["schedule", "list", "--job", "etl.synk"], "no job 'etl.synk' in this database, did you"),
        (["schedule", "list", "--job", ""], "there is no job ''"),
        (["jobs", "--plugin", "elt"], "there is no plugin 'elt', did you mean 'etl'?"),
        (["jobs", "--plugin", "nosuch"], "there is no plugin 'nosuch'; `sereno plugins` lists"),
        (["runs", "etl.synk"], "no job 'etl.synk' in this database, did you mean 'etl.sync'?"),
        (["runs", ""], "there is no job ''"),
    ):
        for as_json in ([], ["--json"]):
            result = scene.call(*args, *as_json)
            assert (result.exit_code, result.stdout) == (2, ""), result.output
            assert sentence in result.stderr


def test_a_filter_that_finds_nothing_says_what_it_did_not_find(scene: Scene) -> None:
    none = scene.call("schedule", "list")
    assert none.stderr == ("no schedule is known to this database yet; `sereno run` brings them\n")
    assert (
        "no job of plugin 'etl' is in this database" in scene.call("jobs", "--plugin", "etl").stderr
    )
    scene.job("etl.hand")
    listed = scene.call("schedule", "list", "--job", "etl.hand")
    assert listed.exit_code == 0
    assert listed.stderr == (
        "job 'etl.hand' has no schedule; `sereno schedule add etl.hand 'every 6h'` makes one\n"
    )
    assert scene.json("schedule", "list", "--job", "etl.hand") == []


def test_a_change_tells_of_the_slot_that_stays_with_the_version_before(scene: Scene) -> None:
    scene.job()
    past = datetime.now(UTC) - timedelta(minutes=1)
    scene.schedule("etl.sync", f"jitter (once {past:%Y-%m-%dT%H:%M:%SZ}) 366d")
    result = scene.call("schedule", "change", "etl.sync", "--trigger", "every 1h", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert "stays with the version before; the change holds for what comes after it" in (
        " ".join(result.stderr.split())
    )
    assert datetime.fromisoformat(told["valid_from"]) > datetime.now(UTC)
    assert told["next_slot"] > told["valid_from"]
    kept = "SELECT valid_from = %s::timestamptz FROM sereno.schedule_version WHERE version = 2"
    assert scene.sql(kept, told["valid_from"]) == [(True,)]
    again = scene.call("schedule", "change", "etl.sync", "--trigger", "every 2h")
    assert "stays with the version before" in again.stderr


def test_a_change_that_drops_nothing_tells_of_nothing(scene: Scene) -> None:
    scene.job()
    scene.schedule("etl.sync", "jitter (every 1h) 50m")
    result = scene.call("schedule", "change", "etl.sync", "-p", "site=12")
    assert (result.exit_code, result.stderr) == (0, "")
