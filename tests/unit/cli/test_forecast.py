import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sereno import cron, every, except_on, only_on
from sereno.cli.forecast import Forecast, slots
from sereno.model.schedule import Schedule, SlotSource
from sereno.plugins import DeclaredSchedule


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def forecast(trigger: SlotSource, start: datetime, count: int) -> list[tuple[str, str]]:
    declared = DeclaredSchedule("a.b", "a.b", Schedule(trigger=trigger), "plugin")
    found = slots(Forecast.declared(declared), start, count)
    return [(f"{slot.at:%d %H:%M}", slot.note) for slot in found]


def test_a_time_that_the_clock_skips_is_noted_where_it_runs() -> None:
    trigger = cron("30 2 * * *", tz="Europe/Madrid")
    assert forecast(trigger, datetime(2026, 3, 28, 12, tzinfo=UTC), 2) == [
        ("29 01:00", "the clock skips 02:00 to 03:00; this is the first instant after"),
        ("30 00:30", ""),
    ]


def test_a_time_that_the_clock_repeats_is_noted_with_its_pass() -> None:
    trigger = cron("*/30 * * * *", tz="Europe/Madrid")
    assert forecast(trigger, datetime(2026, 10, 24, 23, 59, tzinfo=UTC), 5) == [
        ("25 00:00", "the clock shows 02:00 twice; this is the first time"),
        ("25 00:30", "the clock shows 02:30 twice; this is the first time"),
        ("25 01:00", "the clock shows 02:00 twice; this is the second time"),
        ("25 01:30", "the clock shows 02:30 twice; this is the second time"),
        ("25 02:00", ""),
    ]


def test_the_first_slot_after_a_change_of_the_clock_says_so() -> None:
    trigger = cron("0 8 * * *", tz="Europe/Madrid")
    assert forecast(trigger, datetime(2026, 3, 28, 12, tzinfo=UTC), 2) == [
        ("29 06:00", "the clock has gone forward by 1:00:00 before this"),
        ("30 06:00", ""),
    ]
    assert forecast(trigger, datetime(2026, 10, 24, 12, tzinfo=UTC), 1) == [
        ("25 07:00", "the clock has gone back by 1:00:00 before this")
    ]


def test_what_follows_no_clock_has_no_note() -> None:
    found = forecast(every("6h"), datetime(2026, 3, 28, 12, tzinfo=UTC), 10)
    assert {note for _, note in found} == {""}


def test_a_slot_is_told_in_the_zone_of_its_trigger_too() -> None:
    declared = DeclaredSchedule(
        "a.b", "a.b", Schedule(trigger=cron("0 8 * * *", tz="Asia/Tokyo")), "plugin"
    )
    slot = next(slots(Forecast.declared(declared), datetime(2026, 3, 1, tzinfo=UTC), 1))
    assert slot.wall == "08:00:00 Asia/Tokyo"


def test_a_disabled_schedule_says_why_nothing_runs() -> None:
    declared = DeclaredSchedule(
        "a.b", "a.b", Schedule(trigger=every("6h")), "config", enabled=False
    )
    headline = Forecast.declared(declared).headline(datetime(2026, 3, 1, tzinfo=UTC))
    assert headline == "every 6h: paused (disabled by the configuration), nothing runs"


def test_a_calendar_that_the_database_alone_has_takes_out_no_day_and_is_told() -> None:
    daily = cron("0 8 * * MON-FRI", tz="UTC")
    now = datetime(2026, 3, 2, tzinfo=UTC)
    theirs: dict[str, tuple[str, ...]] = {"theirs": ("2026-03-02",)}
    ours: dict[str, tuple[str, ...]] = {"ours": ("2026-03-02",)}
    cases: list[tuple[SlotSource, dict[str, tuple[str, ...]], list[str]]] = [
        (except_on(daily, calendar="theirs"), {}, ["02 08:00", "03 08:00"]),
        (except_on(daily, calendar="theirs"), theirs, ["03 08:00", "04 08:00"]),
        (except_on(daily, calendar=["theirs", "ours"]), ours, ["03 08:00", "04 08:00"]),
        (only_on(daily, calendar="theirs"), {}, []),
        (only_on(cron("0 8 29 2 *", tz="UTC"), calendar="theirs"), {}, []),
    ]
    for trigger, known, expected in cases:
        declared = DeclaredSchedule("a.b", "a.b", Schedule(trigger=trigger), "plugin")
        found = Forecast.declared(declared, known)
        assert [f"{slot.at:%d %H:%M}" for slot in slots(found, now, 2)] == expected
        assert found.unread == (() if "theirs" in known else ("theirs",))
        assert "calendar=theirs" in found.headline(now)
