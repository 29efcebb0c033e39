from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno_reports.period import Kind, Period, at_instant, containing, previous

ZONES = ["Europe/Madrid", "America/Santiago", "America/Havana", "Australia/Lord_Howe", "Asia/Amman"]
KINDS = st.sampled_from(["day", "week", "month"])


def day(text: str, zone: str) -> Period:
    return containing("day", date.fromisoformat(text), zone)


@pytest.mark.parametrize(
    ("text", "zone", "hours"),
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
def test_a_day_has_the_hours_that_the_clock_gives_it(text: str, zone: str, hours: int) -> None:
    found = day(text, zone)
    buckets = found.buckets("hour")
    assert len(buckets) == hours
    assert found.end - found.start == timedelta(hours=hours)
    assert len({label for _, label in buckets}) == hours


def test_a_repeated_hour_is_told_apart_by_its_zone() -> None:
    labels = [label for _, label in day("2026-10-25", "Europe/Madrid").buckets("hour")]
    assert labels[1:5] == ["01:00", "02:00 CEST", "02:00 CET", "03:00"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("2026-04-05", ["00:00", "01:00 +11", "01:00 +1030", "02:00", "03:00"]),
        ("2026-10-04", ["00:00", "01:00", "02:00", "03:00", "04:00"]),  # 02:00 has half an hour
    ],
)
def test_hours_are_the_clock_s_where_it_changes_by_half_an_hour(
    text: str, labels: list[str]
) -> None:
    found = day(text, "Australia/Lord_Howe").buckets("hour")
    assert [label for _, label in found][:5] == labels
    assert [label for _, label in found][-1] == "23:00"


def test_half_hours_of_a_repeated_hour_are_all_there() -> None:
    found = day("2026-10-25", "Europe/Madrid").buckets("half_hour")
    labels = [label for _, label in found]
    assert labels[4:8] == ["02:00 CEST", "02:30 CEST", "02:00 CET", "02:30 CET"]
    assert len(labels) == 50


def test_a_day_without_midnight_begins_at_one() -> None:
    found = day("2026-09-06", "America/Santiago")
    assert found.buckets("hour")[0][1] == "01:00"
    assert day("2026-09-05", "America/Santiago").end == found.start


@given(st.dates(date(2000, 1, 1), date(2035, 1, 1)), st.sampled_from(ZONES), KINDS)
def test_periods_follow_one_another_without_gap_or_overlap(
    first: date, zone: str, kind: Kind
) -> None:
    found = containing(kind, first, zone)
    following = containing(kind, found.after, zone)
    assert found.first <= first <= found.last
    assert found.end == following.start
    assert found.start < found.end
    assert at_instant(kind, found.start, zone) == found
    assert at_instant(kind, found.end - timedelta(microseconds=1), zone) == found
    back = timedelta(weeks=1) if kind == "day" else following.first - found.first
    assert [one.first for one in following.earlier(1)] == [following.first - back]


@given(st.dates(date(2000, 1, 1), date(2035, 1, 1)), st.sampled_from(ZONES))
def test_hours_cover_a_day_and_begin_on_the_clock_s_hours(first: date, zone: str) -> None:
    found = containing("day", first, zone)
    starts = [start for start, _ in found.buckets("hour")]
    assert starts == sorted(set(starts))
    assert (starts[0], starts[-1] < found.end) == (found.start, True)
    assert all(label[2:5] == ":00" for _, label in found.buckets("hour"))


def test_a_week_has_seven_days_and_a_month_as_many_as_the_calendar_says() -> None:
    week = containing("week", date(2026, 11, 18), "Europe/Madrid")
    assert (week.first, week.last) == (date(2026, 11, 16), date(2026, 11, 22))
    assert [label for _, label in week.buckets("day")][0::6] == ["2026-11-16", "2026-11-22"]
    month = containing("month", date(2028, 2, 29), "Europe/Madrid")
    assert len(month.buckets("day")) == 29
    assert [one.first for one in month.earlier(3)] == [
        date(2028, 1, 1),
        date(2027, 12, 1),
        date(2027, 11, 1),
    ]


def test_the_previous_period_is_the_one_on_the_business_clock() -> None:
    at = datetime(2026, 11, 17, 23, 30, tzinfo=UTC)  # past midnight in Madrid
    assert previous("day", at, "Europe/Madrid").first == date(2026, 11, 17)
    assert previous("day", at, "UTC").first == date(2026, 11, 16)
    assert previous("week", at, "UTC").first == date(2026, 11, 9)
    assert previous("month", at, "UTC").first == date(2026, 10, 1)


def test_on_monday_a_business_closed_at_weekends_reports_friday() -> None:
    week = ("mon", "tue", "wed", "thu", "fri")
    monday = datetime(2026, 11, 16, 8, tzinfo=UTC)
    assert previous("day", monday, "UTC", week).first == date(2026, 11, 13)
