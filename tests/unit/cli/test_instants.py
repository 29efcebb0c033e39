import time
from collections.abc import Iterator
from datetime import UTC, datetime

import click
import pytest

from sereno.cli.instants import read_instant

NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_madrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Madrid")
        time.tzset()
        yield
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
