"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.model.duration import format_duration, parse_duration
from sereno.model.errors import TriggerError


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("6h", 21_600),
        ("90s", 90),
        ("10m", 600),
        ("1d12h", 129_600),
        (" 1h 30m ", 5_400),
        ("2w", 1_209_600),
        ("250ms", 0.25),
        ("5us", 0.000005),
        ("1.5h", 5_400),
        ("1m0.5s", 60.5),
        ("0s", 0),
        (45, 45),
        (0.5, 0.5),
        (timedelta(minutes=3), 180),
    ],
)
def test_a_duration_is_text_seconds_or_a_timedelta(
    written: str | float | timedelta, seconds: float
) -> None:
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("90", "duration '90': it cannot be read; a number needs its unit, as in 90s"),
        ("", "duration '': it cannot be read; write it like 90s"),
        ("6 hours", "cannot be read; write it like 90s, 10m, 6h, 1d12h or 250ms"),
        ("-5m", "duration '-5m': it is negative, and it must be zero or more"),
        ("-5", "duration '-5': it cannot be read"),
        ("-", "cannot be read"),
        ("10m1h", "the units go from large to small, each once"),
        ("1h1h", "the units go from large to small, each once"),
        ("1.5h30m", "only the last unit may have decimals"),
        ("6H", "cannot be read"),
        ("٣h", "cannot be read"),
        ("99999999999999w", "it is too long to be counted"),
        (1e300, "it is too long to be counted"),
        (float("nan"), "it is not a finite number of seconds"),
        (-5, "it is negative"),
        (timedelta(seconds=-1), "it is negative"),
        (True, "it is a bool"),
        (None, "it is a NoneType"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(value: object, sentence: str) -> None:
    with pytest.raises(TriggerError, match=sentence) as caught:
        parse_duration(value)  # type: ignore[arg-type]
    assert str(caught.value).startswith("duration ")


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (timedelta(days=1, hours=12), "1d12h"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(weeks=1), "7d"),
        (timedelta(milliseconds=1500), "1s500ms"),
        (timedelta(0), "0s"),
        (timedelta(minutes=-30), "-30m"),
    ],
)
def test_a_duration_is_written_in_the_largest_units(duration: timedelta, written: str) -> None:
    assert format_duration(duration) == written


@settings(derandomize=True, database=None)
@given(st.timedeltas(timedelta(0), timedelta(days=999_999)))
def test_what_is_written_reads_back_as_the_same_duration(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration
