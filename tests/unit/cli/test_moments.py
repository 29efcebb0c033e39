import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sereno.cli.moments import distance, exact, lasting, moment

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday


@pytest.fixture(autouse=True)
def _in_madrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Madrid")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (None, "-"),
        (NOW + timedelta(hours=2, seconds=5), "15:00:05"),
        (NOW + timedelta(hours=12), "tomorrow 01:00"),
        (NOW - timedelta(hours=14), "yesterday 23:00"),
        (NOW + timedelta(days=3), "Fri 27 Nov 13:00"),
        (NOW + timedelta(days=400), "2027-12-29 13:00"),
    ],
)
def test_a_moment_is_as_short_as_now_allows(instant: datetime | None, text: str) -> None:
    assert moment(instant, NOW) == text


def test_an_exact_instant_has_its_weekday_and_the_offset_of_that_day() -> None:
    assert exact(NOW) == "Tue 2026-11-24 13:00:00 +01:00"
    assert exact(NOW - timedelta(days=120)) == "Mon 2026-07-27 14:00:00 +02:00"
    assert exact(NOW + timedelta(milliseconds=7), fine=True) == "Tue 2026-11-24 13:00:00.007 +01:00"


@pytest.mark.parametrize(
    ("gap", "text"),
    [
        (timedelta(milliseconds=300), "now"),
        (timedelta(seconds=59), "in 59 s"),
        (timedelta(minutes=-5, seconds=-9), "5 min ago"),
        (timedelta(hours=26), "in 1 d"),
    ],
)
def test_a_distance_is_told_in_its_largest_unit(gap: timedelta, text: str) -> None:
    assert distance(NOW + gap, NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (-1, "0ms"),
        (0.4204, "420ms"),
        (0.9996, "1.0s"),
        (3.24, "3.2s"),
        (9.96, "10s"),
        (59.6, "1m00s"),
        (245, "4m05s"),
        (3599.7, "1h00m"),
        (7440, "2h04m"),
        (86400 * 3 + 7200, "3d02h"),
    ],
)
def test_a_duration_never_shows_sixty_of_a_unit(seconds: float, text: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == text
