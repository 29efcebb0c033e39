"""Equal steps of real time, and single instants."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from sereno.model.errors import TriggerError
from sereno.triggers import cron, every, once

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_steps_are_counted_from_the_epoch_so_that_a_restart_moves_nothing() -> None:
    for start in (NOON, NOON + timedelta(hours=3, seconds=7), NOON + timedelta(hours=5.99)):
        assert every("6h").next_after(start) == NOON + timedelta(hours=6)


def test_an_anchor_moves_all_steps_and_those_before_it_as_well() -> None:
    trigger = every("6h", anchor="2030-01-01T00:30:00Z")
    assert trigger.next_after(NOON) == NOON + timedelta(minutes=30)


def test_steps_of_ten_milliseconds_are_the_shortest() -> None:
    slots = list(islice(every("10ms").slots(NOON), 3))
    assert slots == [NOON + timedelta(milliseconds=10 * n) for n in (1, 2, 3)]
    with pytest.raises(TriggerError, match="interval 9ms: it must be at least 10ms"):
        every("9ms")
    with pytest.raises(TriggerError, match="interval 0s: it must be at least 10ms"):
        every(0)


def test_a_single_instant_fires_once() -> None:
    trigger = once("2026-01-01T13:00+01:00")
    assert trigger.next_after(NOON - timedelta.resolution) == NOON
    assert trigger.next_after(NOON) is None


def test_a_time_without_offset_needs_a_zone() -> None:
    assert once("2026-01-01T13:00", "Europe/Madrid") == once(NOON)
    assert once(NOON.replace(tzinfo=None), "UTC") == once(NOON)
    for naive in ("2026-01-01T13:00", NOON.replace(tzinfo=None)):
        with pytest.raises(TriggerError, match="it has no time zone; add an offset, such as Z"):
            once(naive)


@pytest.mark.parametrize("value", ["tomorrow", "2026-13-01T00:00Z", "", 5, None])
def test_what_is_no_instant_is_refused(value: object) -> None:
    with pytest.raises(TriggerError, match="instant "):
        once(value)  # type: ignore[arg-type]


def test_an_instant_outside_of_the_calendar_is_refused() -> None:
    with pytest.raises(TriggerError, match="outside of the years 1 to 9999"):
        once("0001-01-01T00:00+05:00")


def test_an_instant_that_its_zone_skips_is_the_first_after_the_gap_as_cron_has_it() -> None:
    gap = datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert once("2027-03-28T02:30", "Europe/Madrid") == once(gap)
    assert once(datetime(2027, 3, 28, 2, 30, tzinfo=ZoneInfo("Europe/Madrid"))) == once(gap)
    assert cron("30 2 28 3 *", "Europe/Madrid").next_after(gap - timedelta(days=1)) == gap


def test_an_instant_that_its_zone_repeats_is_the_first() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert once("2026-10-25T02:30", "Europe/Madrid") == once(first)
