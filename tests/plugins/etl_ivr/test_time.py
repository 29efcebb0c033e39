# ruff: noqa: DTZ001 - local times have no zone
"""Local times, their instants, and the numbers by which they are ordered."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno_etl_ivr import position
from sereno_etl_ivr.plan import Extent, segments, unsettled, wall
from sereno_etl_ivr.shifts import Shift, shifts

from .conftest import Sync
from .pbx import Pbx, call, fetch

NEW_YORK = ZoneInfo("America/New_York")
times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 30))
zones = st.sampled_from(
    ["UTC", "America/New_York", "Europe/Madrid", "Australia/Lord_Howe", "Africa/Casablanca"]
).map(ZoneInfo)


def impossible(text: str) -> int:
    return int("".join(c for c in text if c.isdigit()))


@given(times)
def test_a_position_is_the_second_of_a_time(at: datetime) -> None:
    assert position.moment(position.position(at)) == at.replace(microsecond=0)
    assert position.text(position.position(at)) == f"{at.replace(microsecond=0)}"


@given(times, times)
def test_positions_are_ordered_as_times_are(one: datetime, other: datetime) -> None:
    seconds = one.replace(microsecond=0), other.replace(microsecond=0)
    assert (seconds[0] < seconds[1]) == (position.position(one) < position.position(other))


@given(times)
def test_no_time_lies_between_a_position_and_its_successor(at: datetime) -> None:
    after = position.successor(position.position(at))
    assert position.position(at) < after <= position.position(at + timedelta(seconds=1))
    assert position.moment(after) == at.replace(microsecond=0) + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "after", "moment"),
    [
        ("0000-00-00 00:00:00", "0000-00-00 00:00:01", "0001-01-01 00:00:00"),
        ("2026-00-10 23:59:59", "2026-00-11 00:00:00", "2026-01-01 00:00:00"),
        ("2026-02-31 23:59:59", "2026-03-00 00:00:00", "2026-03-01 00:00:00"),
        ("2026-12-31 23:59:59", "2027-00-00 00:00:00", "2026-12-31 23:59:59"),
    ],
)
def test_impossible_dates_have_their_place_too(text: str, after: str, moment: str) -> None:
    at = impossible(text)
    assert position.text(at) == text
    assert position.successor(at) == impossible(after)
    assert position.moment(at) == datetime.fromisoformat(moment)


def test_a_clock_that_is_put_back_repeats_an_hour() -> None:
    (shift,) = shifts(NEW_YORK, datetime(2026, 11, 1), datetime(2026, 11, 2))
    assert shift == Shift(
        datetime(2026, 11, 1, 1),
        datetime(2026, 11, 1, 2),
        timedelta(hours=-4),
        timedelta(hours=-5),
    )


def test_a_clock_that_is_put_forward_skips_an_hour() -> None:
    (shift,) = shifts(NEW_YORK, datetime(2026, 3, 8), datetime(2026, 3, 9))
    assert (shift.start, shift.end) == (datetime(2026, 3, 8, 2), datetime(2026, 3, 8, 3))
    assert shift.before < shift.after
    assert not shifts(NEW_YORK, datetime(2026, 3, 8, 3, 0, 1), datetime(2026, 3, 9))


@given(zones, st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)))
def test_a_time_is_in_a_shift_exactly_when_its_two_readings_differ(
    zone: ZoneInfo, at: datetime
) -> None:
    offsets = [at.replace(fold=fold, tzinfo=zone).utcoffset() for fold in (0, 1)]
    found = [s for s in shifts(zone, at, at) if s.start <= at < s.end]
    assert [(s.before, s.after) for s in found] == (
        [] if offsets[0] == offsets[1] else [tuple(offsets)]
    )


@given(
    zones,
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(days=2)),
    st.timedeltas(timedelta(minutes=1), timedelta(hours=3)),
    st.timedeltas(timedelta(0), timedelta(hours=3)),
)
def test_a_call_late_by_less_than_the_overlap_is_never_settled_away(
    zone: ZoneInfo, clock: datetime, later: timedelta, overlap: timedelta, late: timedelta
) -> None:
    """A sync at `clock`; a call that begins up to `overlap` before it, or at any time after."""
    begun = clock - min(late, overlap) + later
    extent = Extent(None, None, False, clock)
    assert wall(begun, zone) >= unsettled(extent, overlap, zone)


def test_a_sync_reads_the_flow_of_time_first_and_then_what_lies_outside() -> None:
    clock = datetime(2026, 3, 1, 12, tzinfo=UTC)
    extent = Extent(0, 2030_01_01_00_00_00, True, clock)

    found = list(segments(extent, 2026_03_01_09_00_00, ZoneInfo("UTC")))

    assert [(s.range.start, s.range.end, s.advances) for s in found] == [
        (2026_03_01_09_00_00, 2026_03_01_12_00_00, True),
        (0, position.OLDEST, False),
        (2026_03_01_12_00_00, 2030_01_01_00_00_01, False),
        (position.NULL, position.NULL + 1, False),
    ]


def test_an_empty_source_has_nothing_to_read() -> None:
    clock = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert not list(segments(Extent(None, None, False, clock), None, ZoneInfo("UTC")))


@pytest.mark.every_postgres
async def test_the_repeated_hour_is_settled_by_the_uniqueid(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    first, second = (int(datetime(2026, 11, 1, h, 30, tzinfo=UTC).timestamp()) for h in (5, 6))
    pbx.insert(
        call("2026-11-01 00:59:59", "x"),
        call("2026-11-01 01:30:00", f"{first}.1"),
        call("2026-11-01 01:30:00", f"{second}.2"),
        call("2026-11-01 01:30:00", "x"),
        call("2026-11-01 02:00:00", "x"),
        call("2026-03-08 01:59:59", "x"),
        call("2026-03-08 02:30:00", f"{first}.1"),
        call("2026-03-08 02:30:00", "x"),
        call("2026-03-08 03:00:00", "x"),
    )

    await synced(pbx, source_timezone="America/New_York")

    rows = await fetch(
        database,
        "SELECT calldate::text, uniqueid, to_char(started_at, 'MM-DD HH24:MI:SS'), time_note"
        " FROM ivr.calls",
    )
    assert {tuple(row) for row in rows} == {
        ("2026-11-01 00:59:59", "x", "11-01 04:59:59", None),
        ("2026-11-01 01:30:00", f"{first}.1", "11-01 05:30:00", f"{REPEATED} settled by uniqueid"),
        ("2026-11-01 01:30:00", f"{second}.2", "11-01 06:30:00", f"{REPEATED} settled by uniqueid"),
        ("2026-11-01 01:30:00", "x", "11-01 05:30:00", f"{REPEATED} first taken"),
        ("2026-11-01 02:00:00", "x", "11-01 07:00:00", None),
        ("2026-03-08 01:59:59", "x", "03-08 06:59:59", None),
        ("2026-03-08 02:30:00", f"{first}.1", "11-01 05:30:00", "skipped time, uniqueid taken"),
        ("2026-03-08 02:30:00", "x", None, "skipped time"),
        ("2026-03-08 03:00:00", "x", "03-08 07:00:00", None),
    }


REPEATED = "repeated time,"
