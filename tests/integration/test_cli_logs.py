"""``sereno logs``, the filters of ``sereno runs``, and pauses of many schedules at once."""

import json
import signal
from datetime import UTC, datetime

import pytest

from .cli_scene import Scene, scene

__all__ = ["scene"]


@pytest.fixture
def said(scene: Scene) -> Scene:
    """Give two jobs with a run each, which have said something."""
    scene.job()
    scene.job("shop.mail")
    for n, name in enumerate(("etl.sync", "shop.mail")):
        run = scene.run(name, params={"site": n}, requested_by=f"ana{n}@blue")
        for line, level in enumerate(("INFO", "WARNING")):
            scene.sql(
                "INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)"
                " VALUES (%s, 1, %s, %s, %s, 'x', %s)",
                run, line, datetime(2026, 2, 1, 10, line, n, tzinfo=UTC), level, f"{name} {line}",
            )  # fmt: skip
    return scene


def messages(scene: Scene, *args: str) -> list[str]:
    return [line["message"] for line in scene.json("logs", *args)]


def test_the_last_lines_of_all_runs_are_printed_the_oldest_first(said: Scene) -> None:
    every = ["etl.sync 0", "shop.mail 0", "etl.sync 1", "shop.mail 1"]
    assert messages(said) == every
    assert messages(said, "--limit", "2") == every[2:]
    assert messages(said, "shop.mail") == ["shop.mail 0", "shop.mail 1"]
    assert messages(said, "shop.*", "--level", "warning") == ["shop.mail 1"]
    assert messages(said, "--text", "SYNC 1") == ["etl.sync 1"]
    assert messages(said, "--since", "2026-02-01T10:01Z") == every[2:]
    assert messages(said, "--until", "2026-02-01T10:01Z") == every[:2]
    assert messages(said, "2") == ["shop.mail 0", "shop.mail 1"]
    assert messages(said, "2", "--limit", "1") == ["shop.mail 1"]
    printed = said.call("logs", "2")
    assert printed.exit_code == 0
    assert "shop.mail 2 WARNING  shop.mail 1" in printed.stdout


def test_what_has_no_log_is_a_sentence(said: Scene) -> None:
    for args, sentence in (
        (["nothing"], "there is no job 'nothing'"),
        (["9"], "there is no run 9"),
        (["--level", "loud"], "level is 'loud', it must be DEBUG"),
        (["2", "--text", "x"], "belong to logs of many runs"),
    ):
        found = said.call("logs", *args)
        assert (found.exit_code, sentence in found.stderr) == (2, True), found.stderr


def test_the_log_of_a_run_is_followed_to_its_end(said: Scene) -> None:
    said.sql("UPDATE sereno.run SET state = 'running' WHERE id = 2")
    with said.started("logs", "2", "--follow", "--json") as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline())["message"] for _ in range(2)]
        said.sql(
            "INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)"
            " VALUES (2, 1, 2, now(), 'INFO', 'x', 'the last')"
        )
        last = json.loads(process.stdout.readline())["message"]
        said.sql("UPDATE sereno.run SET state = 'failed' WHERE id = 2")
        assert process.stdout.read() == ""
        assert process.wait(50) == 0
    assert [*first, last] == ["shop.mail 0", "shop.mail 1", "the last"]


def test_the_log_of_all_runs_is_followed_until_one_has_seen_enough(said: Scene) -> None:
    with said.started("logs", "--follow", "--limit", "1") as process:
        assert process.stdout is not None
        assert "shop.mail 1" in process.stdout.readline()
        said.sql(
            "INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)"
            " VALUES (1, 1, 2, now(), 'INFO', 'x', 'new')"
        )
        assert process.stdout.readline().endswith("etl.sync 1 INFO     new\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(50) == 130


def test_runs_are_found_by_what_they_have(said: Scene) -> None:
    for args, found in (
        (["shop.*"], [2]),
        (["--param", "site=0"], [1]),
        (["-p", "site=1", "--by", "ana1"], [2]),
        (["--cause", "slot"], [2, 1]),
        (["--cause", "person"], []),
        (["--since", "-1h"], [2, 1]),
        (["--until", "-1h"], []),
        (["--error", "disk"], []),
    ):
        assert [run["run"] for run in said.json("runs", *args)] == found, args
    for args, sentence in (
        (["--node", "blue"], "there is no replica 'blue'"),
        (["--schedule", "etl.sync"], "there is no schedule 'etl.sync'"),
        (["--param", "password=x"], "param 'password' holds a secret"),
    ):
        result = said.call("runs", *args)
        assert (result.exit_code, sentence in result.stderr) == (2, True), result.stderr
    assert "no run is so" in said.call("runs", "--error", "disk").stderr


def test_schedules_are_paused_and_resumed_by_pattern_plugin_and_all_at_once(said: Scene) -> None:
    for name in ("etl.sync", "etl.sync@late", "shop.mail"):
        said.schedule(name)
    for choice, meant in (
        (["etl.*"], ["etl.sync", "etl.sync@late"]),
        (["--plugin", "etl"], ["etl.sync", "etl.sync@late", "shop.mail"]),
        (["--all"], ["etl.sync", "etl.sync@late", "shop.mail"]),
    ):
        assert said.json("pause", *choice)["paused"] == meant
        again = said.call("pause", *choice)
        assert "was paused already, nothing was changed" in again.stdout
        assert said.json("resume", *choice)["resumed"] == meant
    for choice in ([], ["etl.sync", "--all"], ["--all", "--plugin", "etl"]):
        for command in ("pause", "resume"):
            refused = said.call(command, *choice)
            assert refused.exit_code == 2
            assert "or say --plugin NAME, or --all" in refused.stderr
