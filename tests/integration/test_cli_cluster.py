import re
import subprocess

import pytest

from sereno.store.migration import migrations

from ..servers.postgres import PostgresServer
from .cli_scene import Scene, scene
from .terminal import on_a_terminal

__all__ = ["scene"]


def test_cluster_names_the_leader_and_who_is_there(scene: Scene) -> None:
    scene.node("green-2")
    with scene.leading("blue-1") as node:
        result = scene.call("cluster")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[0].startswith("leader blue-1, term 1, since ")
        assert re.search(r", last beat (now|\d+ s ago)$", lines[0])  # it began a moment ago
        assert lines[2].split()[:2] == ["blue-1", "leader"]
        assert len(lines) == 3
        gone = scene.call("cluster", "--all").stdout.splitlines()
        assert [line.split()[:2] for line in gone[2:]] == [
            ["green-2", "gone"],
            ["blue-1", "leader"],
        ]
        found = scene.json("cluster")
    assert found["leader"]["held"] is True
    assert found["leader"]["node"] == node
    assert [n["present"] for n in found["nodes"]] == [True]


def test_cluster_tells_what_each_replica_has_ended(scene: Scene) -> None:
    scene.job()
    with scene.leading("blue-1") as node:
        other, _ = scene.node("green-2")
        for state in ("succeeded", "succeeded", "failed", "lost", "cancelled"):
            scene.run(state=state, node=node)
        scene.run(node=other)
        scene.run(state="running", node=node)
        told = scene.call("cluster", "--totals").stdout.splitlines()
        assert told[-1].split() == ["blue-1", "etl.sync", "2", "2", "1", "3.2s"]
        (found,) = scene.json("cluster", "--totals")["nodes"]
        assert "totals" not in scene.json("cluster")["nodes"][0]
    (total,) = found["totals"]
    assert (total["node"], total["job"], total["succeeded"]) == ("blue-1", "etl.sync", 2)
    assert (total["failed"], total["cancelled"], total["mean_seconds"]) == (2, 1, 3.2)


def test_cluster_says_that_nobody_leads(scene: Scene) -> None:
    assert "no leader: none has led yet" in scene.call("cluster").stdout
    with scene.leading("blue-1"):
        pass
    result = scene.call("cluster")
    assert result.exit_code == 0
    assert "no leader: 'blue-1' led last, term 1, until" in result.stdout
    assert "no replica is running" in result.stderr


def test_cluster_and_verify_tell_of_a_database_that_went_back_and_what_nobody_knows(
    scene: Scene,
) -> None:
    scene.sql(
        "INSERT INTO sereno.timeline (system, database, timeline, seen_at, term, doubtful_until,"
        " known_until, numbers) VALUES ('1', 1, 1, now() - interval '2 h', 0, NULL, NULL, '{}'),"
        " ('1', 1, 2, now() - interval '1 h', 1000003, now() - interval '1 h',"
        " now() - interval '61 min', '{\"run.id\": 1000000041}')"
    )
    for command in ("cluster", "verify"):
        said = " ".join(scene.call(command).stdout.split())
        assert said.count("gone on from an older state") == 1
        assert "terms went on from 1000004, runs from 1000000042" in said
        assert "is not known here" in said
        (told,) = scene.json(command)["timelines"]
        assert told["numbers"] == {"run.id": 1_000_000_041}
        assert told["known_until"] < told["seen_at"]
    assert "exactly one verdict, of what the database knows" in scene.call("verify").stdout
    scene.sql("UPDATE sereno.timeline SET seen_at = seen_at - interval '8 days'")
    assert scene.json("cluster")["timelines"] == []
    assert len(scene.json("verify")["timelines"]) == 1


def test_pause_and_resume_name_what_they_changed(scene: Scene) -> None:
    scene.job()
    scene.schedule("etl.sync@a")
    scene.schedule("etl.sync@b")
    assert scene.json("pause", "etl.sync@a", "--until", "2100-01-01T00:00Z") == {
        "paused": ["etl.sync@a"],
        "until": "2100-01-01T00:00:00Z",
    }
    assert sorted(scene.json("pause", "etl.sync", "--reason", "moving")["paused"]) == [
        "etl.sync@a",
        "etl.sync@b",
    ]
    assert "was paused already" in scene.call("pause", "etl.sync").stdout
    assert scene.sql("SELECT DISTINCT paused_reason FROM sereno.schedule") == [("moving",)]
    assert "schedule 'etl.sync@a' is resumed" in scene.call("resume", "etl.sync").stdout
    assert "was not paused" in scene.call("resume", "etl.sync").stdout


def test_resume_runs_what_fell_into_the_pause_only_when_asked(scene: Scene) -> None:
    scene.job()
    scene.schedule(trigger="every 1h", state="paused", settled_to="2026-01-01T03:30:00Z")
    assert scene.json("resume", "etl.sync")["runs"] == []
    scene.call("pause", "etl.sync")
    scene.sql("UPDATE sereno.schedule_version SET valid_from = now() - interval '1 day'")
    assert len(scene.json("resume", "etl.sync", "--run", "last")["runs"]) == 1


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["pause", "etl.synk"], "named 'etl.synk', did you mean 'etl.sync'?"),
        (["resume", "etl.synk"], "named 'etl.synk', did you mean 'etl.sync'?"),
        (["pause", "etl.sync", "--until", "2020-01-01"], "is in the past"),
        (["pause", "etl.sync", "--until", "soon"], "instant 'soon': it cannot be read"),
    ],
)
def test_what_cannot_be_paused_gets_a_sentence(
    args: list[str], sentence: str, scene: Scene
) -> None:
    scene.job()
    scene.schedule()
    result = scene.call(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert scene.sql("SELECT state FROM sereno.schedule") == [("active",)]


def test_a_database_that_is_away_ends_with_1_and_names_itself_without_its_password(
    scene: Scene,
) -> None:
    scene.dsn = "postgresql://me:hunter2@127.0.0.1:1/app"
    result = scene.call("jobs")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "(postgresql://me:***@127.0.0.1:1/app, set by --database-url)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_migrate_brings_the_schema_once(empty_database: str, scene: Scene) -> None:
    scene.dsn = empty_database
    result = scene.call("jobs")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no schema 'sereno' yet" in result.stderr
    assert "run 'sereno migrate'" in result.stderr
    assert "embedded/demo" in result.stderr
    first = scene.json("migrate")
    assert (first["made"], first["applied"][0]) == (True, "0001_pre_house.sql")
    waiting = [m.name for m in migrations() if m.post]
    nothing = {"made": False, "applied": [], "waiting": waiting, "newer": []}
    tables = {"plugins": {}, "faults": [], "orphans": []}
    assert scene.json("migrate") == nothing | tables
    assert scene.json("migrate", "--post")["applied"] == waiting
    assert "nothing was to be done" in scene.call("migrate").stdout
    assert scene.json("jobs") == []


def shown(scene: Scene, width: int, *args: str) -> list[str]:
    """Return what a terminal of `width` columns is sent, without the colours."""
    said = on_a_terminal(scene.command(*args), COLUMNS=str(width), TERM="xterm", NO_COLOR="1")
    assert said.code == 0
    return re.sub("\x1b\\[[012]m", "", said.text).splitlines()


@pytest.mark.parametrize("width", [80, 200])
def test_tables_fit_the_terminal(width: int, scene: Scene) -> None:
    scene.job("a_rather_long_name_of_a_plugin.with_a_job_of_a_long_name")
    scene.schedule("a_rather_long_name_of_a_plugin.with_a_job_of_a_long_name", "every 1h")
    run = scene.run(
        "a_rather_long_name_of_a_plugin.with_a_job_of_a_long_name", "failed", error="x" * 300
    )
    with scene.leading("a-label-of-a-replica-that-is-long"):
        for command in ("jobs", "runs", "cluster"):
            lines = shown(scene, width, command)
            assert max(map(len, lines)) <= width, lines
            assert any("a_rather_long" in line or "a-label" in line for line in lines)
    assert f"{run}  " in shown(scene, width, "runs")[1]


def test_a_pipe_that_is_closed_early_is_no_error(scene: Scene) -> None:
    scene.job()
    for _ in range(50):
        scene.run()
    done = subprocess.run(
        f"{' '.join(scene.command('runs', '--limit', '5000'))} | head -1",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("RUN")
    assert done.stderr == ""


def test_a_database_that_stops_while_somebody_waits_is_waited_for(
    private_postgres: PostgresServer, scene: Scene
) -> None:
    with private_postgres.database("waiting_template", lambda dsn: None) as dsn:
        scene.dsn = dsn
        assert scene.call("migrate").exit_code == 0
        scene.job()
        with scene.started("trigger", "etl.sync", "--wait") as process:
            assert process.stderr is not None
            assert "no replica leads" in process.stderr.readline()
            private_postgres.stop()
            private_postgres.start()
            scene.finish(scene.sql("SELECT id FROM sereno.run")[0][0])
            out, _ = process.communicate(timeout=50)
        assert process.returncode == 0
        assert "succeeded after 1.5s" in out
