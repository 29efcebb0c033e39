"""What a cron trigger does when its clock jumps: Debian's rule, and the other policies."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from sereno.triggers import Cron, cron


def check(trigger: Cron, after: str, expected: str) -> None:
    """Compare slots after `after` with `expected`, each a local day, time and offset."""
    zone = ZoneInfo(trigger.tz)
    wanted = expected.split()
    found = islice(trigger.slots(datetime.fromisoformat(after)), len(wanted))
    assert [slot.astimezone(zone).strftime("%d.%H:%M%z") for slot in found] == wanted


# Madrid: 02:00 → 03:00 on 30 March 2025, 03:00 → 02:00 on 26 October.
# Lord Howe: 02:00 → 02:30 on 5 October, 02:00 → 01:30 on 6 April. Chatham: 02:45 → 03:45 on
# 28 September, 03:45 → 02:45 on 6 April. Cairo: 00:00 → 01:00 on 28 April 2023, 24:00 → 23:00 on
# 26 October. Santiago: the same on 7 September and 5 April 2025.
@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("30 2 * * *", "Europe/Madrid", "2025-03-29T12:00+01", "30.03:00+0200 31.02:30+0200"),
        ("0,30 2 * * *", "Europe/Madrid", "2025-03-29T12:00+01", "30.03:00+0200 31.02:00+0200"),
        ("0 2,3 * * *", "Europe/Madrid", "2025-03-29T12:00+01", "30.03:00+0200 31.02:00+0200"),
        ("30 0-23 * * *", "Europe/Madrid", "2025-03-30T01:00+01",
         "30.01:30+0100 30.03:00+0200 30.03:30+0200"),
        ("15 2 * * *", "Australia/Lord_Howe", "2025-10-04T12:00Z", "05.02:30+1100 06.02:15+1100"),
        ("0 3 * * *", "Pacific/Chatham", "2025-09-27T10:00Z", "28.03:45+1345 29.03:00+1345"),
        ("@daily", "Africa/Cairo", "2023-04-27T12:00+02", "28.01:00+0300 29.00:00+0300"),
        ("30 0 * * *", "America/Santiago", "2025-09-06T12:00Z", "07.01:00-0300 08.00:30-0300"),
    ],
)  # fmt: skip
def test_a_fixed_time_that_the_clock_skips_runs_once_when_it_has_jumped(
    expression: str, zone: str, after: str, expected: str
) -> None:
    check(cron(expression, zone), after, expected)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("30 2 * * *", "Europe/Madrid", "2025-10-25T12:00Z", "26.02:30+0200 27.02:30+0100"),
        ("0 1,2 * * *", "Europe/Madrid", "2025-10-25T12:00Z",
         "26.01:00+0200 26.02:00+0200 27.01:00+0100"),
        ("30 2 * * *", "Europe/Madrid", "2025-10-26T02:31+02", "27.02:30+0100"),
        ("30 2 * * *", "Europe/Madrid", "2025-10-26T02:15+01", "27.02:30+0100"),
        ("45 1 * * *", "Australia/Lord_Howe", "2025-04-05T12:00Z", "06.01:45+1100 07.01:45+1030"),
        ("30 23 * * *", "Africa/Cairo", "2023-10-26T12:00Z", "26.23:30+0300 27.23:30+0200"),
    ],
)  # fmt: skip
def test_a_fixed_time_that_the_clock_repeats_runs_the_first_time_alone(
    expression: str, zone: str, after: str, expected: str
) -> None:
    check(cron(expression, zone), after, expected)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("0 * * * *", "Europe/Madrid", "2025-03-30T00:30+01", "30.01:00+0100 30.03:00+0200"),
        ("*/15 2 * * *", "Europe/Madrid", "2025-03-29T12:00+01", "31.02:00+0200"),
        ("0 */2 * * *", "Europe/Madrid", "2025-03-30T00:00+01", "30.04:00+0200"),
        ("*/30 * * * *", "Europe/Madrid", "2025-10-26T02:00+02",
         "26.02:30+0200 26.02:00+0100 26.02:30+0100 26.03:00+0100"),
        ("*/20 * * * *", "Australia/Lord_Howe", "2025-04-06T01:20+11",
         "06.01:40+1100 06.01:40+1030 06.02:00+1030"),
        ("*/30 3 * * *", "Pacific/Chatham", "2025-04-05T12:00Z",
         "06.03:00+1345 06.03:30+1345 06.03:00+1245 06.03:30+1245 07.03:00+1245"),
        ("0 0 2 * * *", "Europe/Madrid", "2025-10-25T12:00Z", "26.02:00+0200 27.02:00+0100"),
        ("*/30 59 2 * * *", "Europe/Madrid", "2025-10-26T02:59:30+02",
         "26.02:59+0100 26.02:59+0100"),
    ],
)  # fmt: skip
def test_an_expression_that_begins_with_a_star_follows_real_time(
    expression: str, zone: str, after: str, expected: str
) -> None:
    check(cron(expression, zone), after, expected)


def test_a_day_that_the_calendar_drops_is_dropped() -> None:
    # Samoa crossed the date line: after 29 December 2011 came the 31st.
    check(cron("0 12 * * *", "Pacific/Apia"), "2011-12-29T13:00-10", "31.12:00+1400")
    check(cron("0 0 * * *", "Pacific/Apia"), "2011-12-28T13:00-10", "29.00:00-1000 31.00:00+1400")


def test_a_gap_can_be_skipped_or_run_whatever_the_expression() -> None:
    night = "2025-03-29T12:00+01"
    check(cron("30 2 * * *", "Europe/Madrid", gap="skip"), night, "31.02:30+0200")
    check(cron("*/15 2 * * *", "Europe/Madrid", gap="run"), night, "30.03:00+0200 31.02:00+0200")
    apia = cron("0 12 * * *", "Pacific/Apia", gap="run")
    check(apia, "2011-12-29T13:00-10", "31.00:00+1400 31.12:00+1400")


def test_a_repeated_time_can_run_first_last_or_both_whatever_the_expression() -> None:
    night = "2025-10-26T00:30+02"
    both = cron("30 2 * * *", "Europe/Madrid", fold="both")
    check(both, night, "26.02:30+0200 26.02:30+0100 27.02:30+0100")
    last = cron("0,30 2 * * *", "Europe/Madrid", fold="last")
    check(last, night, "26.02:00+0100 26.02:30+0100 27.02:00+0100")
    first = cron("0 * * * *", "Europe/Madrid", fold="first")
    check(first, night, "26.01:00+0200 26.02:00+0200 26.03:00+0100")
    check(first, "2025-10-26T02:10+01", "26.03:00+0100")
    last = cron("0 * * * *", "Europe/Madrid", fold="last")
    check(last, "2025-10-26T02:10+02", "26.02:00+0100 26.03:00+0100")


def test_a_start_inside_a_change_with_microseconds_ends_and_is_right() -> None:
    trigger = cron("* * * * *", "Europe/Madrid")
    start = datetime(2025, 10, 26, 0, 59, 59, 999_999, tzinfo=UTC)
    assert trigger.next_after(start) == datetime(2025, 10, 26, 1, tzinfo=UTC)
    assert trigger.next_after(start.replace(second=0, microsecond=1)) == datetime(
        2025, 10, 26, 1, tzinfo=UTC
    )
