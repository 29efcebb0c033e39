from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno_reports.day import BusinessDay, day_at, previous_day


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/Madrid", 23),
        ("2026-10-25", "Europe/Madrid", 25),
        ("2026-11-17", "Europe/Madrid", 24),
        ("2026-03-08", "America/New_York", 23),
        ("2026-09-06", "America/Santiago", 23),  # the clock skips midnight
        ("2026-04-04", "America/Santiago", 25),  # and repeats the last hour
        ("2026-10-25", "UTC", 24),
    ],
)
def test_a_day_has_the_hours_that_the_clock_gives_it(day: str, zone: str, hours: int) -> None:
    found = BusinessDay(date.fromisoformat(day), zone)
    assert len(found.hours) == hours
    assert found.end - found.start == timedelta(hours=hours)
    assert len({label for _, label in found.hours}) == hours


def test_a_repeated_hour_is_told_apart_by_its_zone() -> None:
    labels = [label for _, label in BusinessDay(date(2026, 10, 25), "Europe/Madrid").hours]
    assert labels[1:5] == ["01:00", "02:00 CEST", "02:00 CET", "03:00"]


def test_a_day_without_midnight_begins_at_one() -> None:
    day = BusinessDay(date(2026, 9, 6), "America/Santiago")
    assert day.hours[0][1] == "01:00"
    assert BusinessDay(date(2026, 9, 5), "America/Santiago").end == day.start


@given(
    st.dates(date(2000, 1, 1), date(2035, 1, 1)),
    st.sampled_from(
        ["Europe/Madrid", "America/Santiago", "America/Havana", "Australia/Lord_Howe", "Asia/Amman"]
    ),
)
def test_days_follow_one_another_without_gap_or_overlap(day: date, zone: str) -> None:
    today, tomorrow = BusinessDay(day, zone), BusinessDay(day + timedelta(days=1), zone)
    assert today.end == tomorrow.start
    assert today.start < today.end
    assert day_at(today.start, zone) == today
    assert day_at(today.end - timedelta(microseconds=1), zone) == today


def test_the_previous_day_is_the_one_on_the_business_clock() -> None:
    at = datetime(2026, 11, 17, 23, 30, tzinfo=UTC)  # past midnight in Madrid
    assert previous_day(at, "Europe/Madrid").date == date(2026, 11, 17)
    assert previous_day(at, "UTC").date == date(2026, 11, 16)


def test_on_monday_a_business_closed_at_weekends_reports_friday() -> None:
    week = ("mon", "tue", "wed", "thu", "fri")
    monday = datetime(2026, 11, 16, 8, tzinfo=UTC)
    assert previous_day(monday, "UTC", week).date == date(2026, 11, 13)
