"""``sereno rehearse`` tells what the coming days would bring, and judges it for a pipeline."""

import json
from pathlib import Path

import pytest

from .cli_scene import Scene, scene

__all__ = ["scene"]


@pytest.fixture
def house(scene: Scene) -> Scene:
    """A job that takes two hours, due each hour; two that want one place."""
    for name in ("etl.sync", "shop.mail"):
        scene.job(name)
        scene.schedule(name, "every 1h")
    scene.sql(
        "INSERT INTO sereno.run (job, state, cause, started_at, finished_at, attempt)"
        " SELECT 'etl.sync', 'succeeded', 'person', now() - interval '3 hours',"
        "        now() - interval '1 hour', 1 FROM generate_series(1, 3)"
    )
    return scene


def test_what_would_be_skipped_is_told_with_its_first_instant(house: Scene) -> None:
    result = house.call("rehearse", "--days", "1")
    assert result.exit_code == 0, result.output
    (line,) = (li for li in result.stdout.splitlines() if li.startswith("skipped  etl.sync"))
    assert "an earlier run of it that is not over" in line
    assert "never measured" in result.stdout
    assert "shop.mail" in result.stdout


def test_a_pipeline_is_told_by_the_exit_code_what_would_go_wrong(house: Scene) -> None:
    result = house.call("rehearse", "--days", "1", "--fail-on", "skipped", "--fail-on", "late")
    assert result.exit_code == 1
    assert "it would not go well: skipped 1" in result.stdout
    good = house.call("rehearse", "--days", "1", "--fail-on", "missed")
    assert good.exit_code == 0
    assert "it would go well: of missed there is nothing at the usual pace" in good.stdout


def test_a_change_is_rehearsed_before_it_is_made(house: Scene, tmp_path: Path) -> None:
    file = tmp_path / "change.toml"
    file.write_text(
        '[schedules."etl.sync"]\ntrigger = "every 3h"\n[jobs."etl.sync"]\nusual = "20m"'
    )
    arguments = ("--days", "1", "--with", str(file), "--fail-on", "skipped")
    told = house.call("rehearse", *arguments)
    assert told.exit_code == 0, told.output
    assert "USUAL: NOW" in told.stdout
    as_json = json.loads(house.call("rehearse", *arguments, "--json").stdout)
    assert as_json["ok"] is True
    assert as_json["usual"]["troubles"]["skipped"] == 0
    assert as_json["before"]["usual"]["troubles"]["skipped"] > 0
    assert house.sql("SELECT count(*) FROM sereno.schedule_version") == [(2,)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("shedules = 1", "unknown key 'shedules', did you mean 'schedules'?"),
        ("threads = 0", "threads is 0, it must be from 1 to 10,000"),
        ("threads = 'many'", "Expected `int | null`, got `str`"),
        ('[jobs."no.job"]\nusual = "1m"', "there is no job 'no.job'"),
        ('[schedules."etl.sync@new"]\npaused = true', "there is no schedule 'etl.sync@new'"),
        ('[schedules."etl.sync@new"]\ntrigger = "cron 61 * * * *"', "61"),
        ('[schedules."etl.sync"]\nremoved = 3', "Expected `bool`, got `int`"),
        ("= 3", "cannot be read as TOML"),
    ],
)
def test_a_change_that_does_not_fit_is_a_sentence(
    house: Scene, tmp_path: Path, content: str, sentence: str
) -> None:
    file = tmp_path / "change.toml"
    file.write_text(content)
    result = house.call("rehearse", "--with", str(file))
    assert result.exit_code == 2, result.output
    assert sentence in result.output


def test_nothing_at_all_can_be_rehearsed(scene: Scene) -> None:
    result = scene.call("rehearse", "--days", "92")
    assert result.exit_code == 0, result.output
    assert "nothing waits, and nothing is left out" in result.output
