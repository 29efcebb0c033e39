import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import click
import pytest

from sereno.cli.instants import read_instant

NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)


Clock = Callable[[str], None]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Set this machine's clock to Madrid's, and to that of whatever zone is asked for."""

    def to(zone: str) -> None:
        patch.setenv("TZ", zone)
        time.tzset()

    with monkeypatch.context() as patch:
        to("Europe/Madrid")
        yield to
    time.tzset()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T08:00:00Z", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01T08:00+05:30", datetime(2026, 3, 1, 2, 30, tzinfo=UTC)),
        ("2026-03-01T08:00", datetime(2026, 3, 1, 7, tzinfo=UTC)),
        ("2026-07-01 08:00:09", datetime(2026, 7, 1, 6, 0, 9, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("08:00", datetime(2026, 11, 25, 7, tzinfo=UTC)),  # it is the 25th in Madrid by now
        ("+10m", datetime(2026, 11, 24, 23, 40, tzinfo=UTC)),
        ("-1d12h", datetime(2026, 11, 23, 11, 30, tzinfo=UTC)),
        (" 08:00 ", datetime(2026, 11, 25, 7, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_on_this_machines_clock_unless_it_has_an_offset(
    text: str, instant: datetime
) -> None:
    assert read_instant(text, NOW) == instant


@pytest.mark.parametrize(
    "text", ["", "+", "-", "soon", "+10", "25:00", "2026-13-01", "+9999999999w"]
)
def test_what_is_no_instant_gets_a_sentence_with_the_forms(text: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        read_instant(text, NOW)
    assert caught.value.message.startswith(f"instant '{text}': it cannot be read; write it like")


@pytest.mark.parametrize(
    ("zone", "text", "instant", "said"),
    [
        ("Europe/Madrid", "2027-03-28T02:30", "2027-03-28T01:00:00+00:00", "03:00:00 +02:00"),
        ("Europe/Madrid", "2027-03-28T02:00", "2027-03-28T01:00:00+00:00", "03:00:00 +02:00"),
        ("Europe/Madrid", "2027-03-28 02:59:59.9", "2027-03-28T01:00:00+00:00", "03:00:00 +02:00"),
        ("America/New_York", "2027-03-14T02:30", "2027-03-14T07:00:00+00:00", "03:00:00 -04:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30:00+00:00", "02:30:00 +11:00"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00+00:00", "01:00:00 -02:00"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00+00:00", "00:00:00 +14:00"),
        ("CET-1CEST,M3.5.0,M10.5.0", "2027-03-28T02:30", "2027-03-28T01:00:00+00:00", "03:00:00"),
    ],
)
def test_an_instant_that_the_clock_skips_is_the_first_after_the_gap_and_said(
    zone: str, text: str, instant: str, said: str, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    clock(zone)

    assert read_instant(text, NOW).isoformat() == instant

    told = capsys.readouterr().err
    assert told.startswith(f"{text}: this clock skips it; taken as the first instant after, ")
    assert said in told


@pytest.mark.parametrize(
    ("zone", "text", "instant"),
    [
        ("Europe/Madrid", "2026-10-25T02:30", "2026-10-25T00:30:00+00:00"),
        ("America/New_York", "2026-11-01T01:00", "2026-11-01T05:00:00+00:00"),
        ("Australia/Lord_Howe", "2027-04-04T01:45", "2027-04-03T14:45:00+00:00"),
    ],
)
def test_an_instant_that_the_clock_shows_twice_is_the_first_and_said(
    zone: str, text: str, instant: str, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    clock(zone)

    assert read_instant(text, NOW).isoformat() == instant
    assert "this clock shows it twice; taken as the first, " in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["2027-03-28T01:59:59", "2027-03-28T03:00", "2026-10-25T01:59", "2026-10-25T03:00",
             "2027-03-28T02:30+01:00", "2027-03-28T02:30Z", "0001-01-03", "9999-12-30"]
)  # fmt: skip
def test_an_instant_that_means_one_alone_needs_no_word(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read_instant(text, NOW)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59"])
def test_the_ends_of_the_calendar_are_no_fault_of_ours(text: str) -> None:
    with pytest.raises(click.UsageError, match="it cannot be read"):
        read_instant(text, NOW)
