"""One zone for every trigger that names none: it stands in the text, and a change of it is told."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sereno import Client, cron, every, except_on, parse, schedule, within
from sereno.engine.drift import foresee, notice
from sereno.model.errors import ConfigurationError
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.zone import default_zone, use_zone
from sereno.settings import load_settings

from .scene import Scene, named, opened


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        yield found


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    use_zone("UTC")


def read(zone: str) -> None:
    load_settings(
        file=None, environ={"SERENO_CONFIG": "/dev/null", "SERENO_TIMEZONE": zone}, flags={}
    )


def test_what_names_no_zone_is_of_that_of_the_settings_and_says_so() -> None:
    read("Europe/Madrid")
    assert cron("0 8 * * *").text == "cron 0 8 * * * Europe/Madrid"
    assert parse("0 8 * * *").text == "cron 0 8 * * * Europe/Madrid"
    assert parse("@daily").text == "cron @daily Europe/Madrid"
    assert cron("0 8 * * *", tz="UTC").text == "cron 0 8 * * * UTC"
    assert except_on(every("6h"), "2026-12-25").tz == "Europe/Madrid"
    assert within(every("6h"), start="2026-07-01").text.endswith("start=2026-06-30T22:00:00Z")
    held = schedule(every("6h"), except_on="madrid")
    assert ScheduleSpec.of(held).trigger == "except_on (every 6h) calendar=madrid tz=Europe/Madrid"


def test_what_was_read_before_keeps_its_own() -> None:
    read("Asia/Tokyo")
    before = parse("0 8 * * *")
    read("Europe/Madrid")
    assert parse(before.text) == before
    read("UTC")
    assert default_zone() == "UTC"


@pytest.mark.parametrize("zone", ["Madrid", "CET+1", "", "local", "Europe/Madird"])
def test_what_is_no_zone_is_refused_where_it_was_set(zone: str, tmp_path: Path) -> None:
    file = tmp_path / "sereno.toml"
    file.write_text(f'timezone = "{zone}"\n')
    with pytest.raises(ConfigurationError, match="timezone: time zone"):
        load_settings(file=file, environ={}, flags={})
    assert default_zone() == "UTC"


async def test_a_change_of_it_is_drift_and_moves_nothing_that_a_person_has_made(
    scene: Scene,
) -> None:
    await scene.declare("a", "b", named("a", "0 8 * * *"))
    client = Client(scene.db)
    term = scene.term
    await notice(scene.db, term, 50)
    read("Asia/Tokyo")
    other = named("a", "0 8 * * *")
    (drift,) = await foresee(scene.db, {"a": other.declared})
    assert "cron 0 8 * * * UTC" in drift.because
    assert "Asia/Tokyo" in drift.because
    assert {slot.hour for slot in drift.before} == {8}
    assert {slot.hour for slot in drift.after} == {23}
    await scene.declare("a", "b", other)
    found, _ = await notice(scene.db, term, 50)
    assert [one.schedule for one in found] == ["a"]
    assert (await client.schedules("a"))[0].written == "cron 0 8 * * * Asia/Tokyo"
    slots = await client.preview_slots("0 8 * * *", count=1)
    assert slots[0].hour == 23
