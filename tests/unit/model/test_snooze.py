"""Until when a job puts itself off, and when that is too much."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import FinalError, Snooze, TriggerError
from sereno.model.snooze import LONGEST_SNOOZED, MOST_SNOOZES

NOW = datetime(2036, 3, 30, 0, 59, 59, tzinfo=UTC)


def test_it_is_put_off_for_so_long_or_until_an_instant() -> None:
    later = NOW + timedelta(hours=1)

    assert Snooze("10m").ends_at(NOW, 0, NOW) == NOW + timedelta(minutes=10)
    assert Snooze(90).ends_at(NOW, 0, NOW) == NOW + timedelta(seconds=90)
    assert Snooze(timedelta(0)).ends_at(NOW, 0, NOW) == NOW
    assert Snooze(later).ends_at(NOW, 0, NOW) == later


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Sun, 30 Mar 2036 01:09:59 GMT", 600),
        ("Sun, 30 Mar 2036 02:09:59 -0000", 4200),
        ("Sat, 29 Mar 2036 00:00:00 GMT", 0),
        (None, 30),
        ("", 30),
        ("-5", 30),
        ("1.5", 30),
        ("soon", 30),
        ("Sun, 99 Mar 2036 01:09:59 GMT", 30),
        ("٣", 30),
        ("9" * 500, 30),
    ],
)
def test_a_throttled_answer_says_for_how_long(header: str | None, seconds: int) -> None:
    told = Snooze.retry_after(header, reason="throttled")
    assert told.ends_at(NOW, 0, NOW) == NOW + timedelta(seconds=seconds)
    assert str(told) == "throttled"


def test_a_throttled_answer_that_asks_for_years_is_too_long() -> None:
    with pytest.raises(FinalError, match="for over 30d"):
        Snooze.retry_after("9" * 20).ends_at(NOW, 0, NOW)


def test_an_instant_that_has_passed_is_now() -> None:
    assert Snooze(datetime.min.replace(tzinfo=UTC)).ends_at(NOW, 0, NOW) == NOW


def test_it_may_be_put_off_so_often_and_so_long_and_no_more() -> None:
    Snooze("1s").ends_at(NOW, MOST_SNOOZES - 1, NOW)
    with pytest.raises(
        FinalError, match=r"it put itself off 1000 times, since 2036-03-30 .* limit"
    ):
        Snooze("1s").ends_at(NOW, MOST_SNOOZES, NOW)

    since = NOW - timedelta(days=29)
    assert Snooze("1d").ends_at(NOW, 5, since) == since + LONGEST_SNOOZED
    for too_long in ("25h", timedelta.max, datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(FinalError, match=r"for over 30d since its attempt of 2036-03-01 "):
            Snooze(too_long).ends_at(NOW, 5, since)


@given(
    until=st.timedeltas(timedelta(0)) | st.datetimes(timezones=st.just(UTC)),
    before=st.integers(0, 2_000),
    age=st.timedeltas(timedelta(0), timedelta(days=60)),
)
def test_what_is_granted_is_never_past_and_never_beyond_the_limit(
    until: Any, before: int, age: timedelta
) -> None:
    try:
        ends = Snooze(until).ends_at(NOW, before, NOW - age)
    except FinalError:
        return
    assert NOW <= ends <= NOW - age + LONGEST_SNOOZED


@pytest.mark.parametrize(
    ("until", "sentence"),
    [
        ("soon", "soon"),
        ("-5m", "-5m"),
        (-1, "-1"),
        (float("nan"), "finite"),
        (timedelta(days=-1), "it is negative"),
        (datetime(2036, 1, 1), "it has no time zone; add one"),  # noqa: DTZ001 - that is the fault
        (None, "snooze is None, it must be a duration, as '10m', or an instant"),
        (True, "it must be a duration"),
        ([10], "it must be a duration"),
    ],
)
def test_what_is_no_time_to_come_gets_a_sentence(until: Any, sentence: str) -> None:
    with pytest.raises(TriggerError) as refusal:
        Snooze(until)
    assert sentence in str(refusal.value)
