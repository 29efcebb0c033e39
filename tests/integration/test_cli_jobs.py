from datetime import UTC, datetime, timedelta

import pytest

from .cli_scene import Scene, scene

__all__ = ["scene"]

NOW = datetime.now(UTC)


def rows(output: str) -> dict[str, list[str]]:
    """Return the words of each row of a table by the first of them."""
    return {line.split()[0]: line.split() for line in output.splitlines() if line.strip()}


def test_jobs_shows_schedule_next_slot_and_last_run(scene: Scene) -> None:
    scene.job(last_state="failed", last_end_at=NOW, last_duration=timedelta(seconds=3.2))
    scene.job("etl.hand")
    scene.schedule(trigger="cron 0 8 * * * Europe/Madrid")
    result = scene.call("jobs")
    assert result.exit_code == 0, result.output
    found = rows(result.stdout)
    assert "cron 0 8 * * * Europe/Madrid" in " ".join(found["etl.sync"])
    assert "in 1 h" in " ".join(found["etl.sync"])
    assert found["etl.sync"][-2:] == ["3.2s", "etl"]
    assert "failed" in found["etl.sync"]
    assert "by hand" in " ".join(found["etl.hand"])
    assert "OVERDUE" not in result.stdout


def test_each_schedule_of_a_job_has_its_own_line(scene: Scene) -> None:
    scene.job()
    scene.schedule("etl.sync@fast", "every 1m")
    scene.schedule("etl.sync@slow", "every 1d")
    found = rows(scene.call("jobs").stdout)
    assert found["etl.sync@fast"][1:3] == ["every", "1m"]
    assert found["@slow"][1:3] == ["every", "1d"]


def test_a_schedule_of_the_configuration_is_shown_by_its_own_name(scene: Scene) -> None:
    scene.job()
    scene.schedule()
    scene.schedule("month_end", "every 2d")
    scene.sql("UPDATE sereno.schedule SET job = 'etl.sync' WHERE name = 'month_end'")
    found = rows(scene.call("jobs").stdout)
    assert found["etl.sync"][1:3] == ["every", "1h"]
    assert found["month_end"][1:3] == ["every", "2d"]


def test_an_overdue_job_says_by_how_much(scene: Scene) -> None:
    scene.job()
    schedule = scene.schedule()
    scene.sql(
        "UPDATE sereno.watermark SET next_slot = now() - interval '2 hours 1 minute'"
        " WHERE schedule_id = %s",
        schedule,
    )
    assert rows(scene.call("jobs").stdout)["etl.sync"][-1] == "2h00m"
    assert 7200 <= scene.json("jobs")[0]["overdue_seconds"] < 7300


def test_a_paused_schedule_says_so_in_place_of_its_next_slot(scene: Scene) -> None:
    scene.job()
    scene.schedule(state="paused")
    assert "paused" in rows(scene.call("jobs").stdout)["etl.sync"]


def test_what_no_plugin_declares_any_more_is_shown_on_demand(scene: Scene) -> None:
    scene.job()
    scene.job("etl.old", present=False)
    assert [job["name"] for job in scene.json("jobs")] == ["etl.sync"]
    assert [job["name"] for job in scene.json("jobs", "--all")] == ["etl.old", "etl.sync"]
    assert "etl (gone)" in scene.call("jobs", "--all").stdout


def test_jobs_are_chosen_by_name_or_pattern(scene: Scene) -> None:
    for name in ("etl.sync", "etl.load", "shop.mail"):
        scene.job(name)
    assert [job["name"] for job in scene.json("jobs", "etl.*")] == ["etl.load", "etl.sync"]
    assert [job["name"] for job in scene.json("jobs", "shop.mail")] == ["shop.mail"]
    refused = scene.call("jobs", "etl.sink")
    assert refused.exit_code == 2
    assert "no job is 'etl.sink', did you mean 'etl.sync'?" in refused.stderr


def test_jobs_as_json_holds_the_schedules(scene: Scene) -> None:
    scene.job(last_duration=timedelta(seconds=3.2))
    scene.schedule(trigger="every 5m")
    job = scene.json("jobs")[0]
    assert job["last_duration_seconds"] == 3.2
    assert job["overdue_seconds"] == 0
    (schedule,) = job["schedules"]
    assert schedule["definition"]["trigger"] == "every 5m"
    assert datetime.fromisoformat(schedule["next_slot"]) > NOW


def test_an_empty_database_says_what_brings_jobs(scene: Scene) -> None:
    result = scene.call("jobs")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "`sereno run` brings them" in result.stderr
    assert scene.json("jobs") == []


def test_next_names_a_calendar_and_not_all_of_its_days(scene: Scene) -> None:
    scene.job()
    scene.json("calendar", "set", "madrid", "easter", "12-25")
    added = scene.call("schedule", "add", "etl.sync", "0 8 * * * UTC", "--except-on", "madrid")
    assert added.exit_code == 0, added.output
    first = scene.call("next", "etl.sync").stdout.splitlines()[0]
    assert first == "except_on (cron 0 8 * * * UTC) calendar=madrid tz=UTC"


def test_next_follows_what_people_changed_in_the_database(scene: Scene) -> None:
    scene.job()
    scene.schedule(trigger="cron 30 9 * * * UTC")
    (found,) = scene.json("next", "etl.sync", "-n", "2")
    assert found["trigger"] == "cron 30 9 * * * UTC"
    assert [slot["slot"][10:] for slot in found["slots"]] == ["T09:30:00Z"] * 2
    assert "09:30:00 +00:00" in scene.call("next", "etl.sync").stdout


def test_next_knows_one_schedule_of_a_job_by_its_name(scene: Scene) -> None:
    scene.job()
    scene.schedule("etl.sync@fast", "every 1m")
    scene.schedule("etl.sync@slow", "every 1d", ends_at="2026-01-02T00:00:00Z")
    assert [f["schedule"] for f in scene.json("next", "etl.sync")] == [
        "etl.sync@fast",
        "etl.sync@slow",
    ]
    (slow,) = scene.json("next", "etl.sync@slow")
    assert slow["slots"] == []
    assert "no slot is to come" in scene.call("next", "etl.sync@slow").stderr


def test_next_of_a_paused_schedule_says_that_nothing_runs(scene: Scene) -> None:
    scene.job()
    scene.schedule()
    scene.call("pause", "etl.sync", "--reason", "the far side is down")
    result = scene.call("next", "etl.sync")
    assert result.stdout.startswith("every 1h: paused (the far side is down), nothing runs\n")


def test_next_tells_what_is_declared_where_no_replica_has_run(scene: Scene) -> None:
    result = scene.call("next", "etl.sync", "-n", "1")
    assert result.exit_code == 0
    assert "08:00:00 +00:00" in result.stdout
    assert "no replica has brought these schedules" in result.stderr


def test_next_tells_what_is_declared_where_the_database_is_away(scene: Scene) -> None:
    scene.dsn = "postgresql://me:hunter2@127.0.0.1:1/app"
    result = scene.call("next", "etl.sync", "-n", "1")
    assert result.exit_code == 0
    assert "08:00:00 +00:00" in result.stdout
    assert "as the schedules are declared" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("etl.synk", "there is no job 'etl.synk', did you mean 'etl.sync'?")],
)
def test_next_of_an_unknown_job_gets_a_suggestion(name: str, sentence: str, scene: Scene) -> None:
    result = scene.call("next", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
