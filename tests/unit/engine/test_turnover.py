"""How many may stand in line for a place that is soon free."""

import pytest

from sereno.engine import turnover
from sereno.engine.turnover import LONGEST, WAIT, Turnover


class Time:
    """The steady time, as it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(turnover, "steady", found)
    return found


def after(time: Time, *, every: float, seconds: float) -> Turnover:
    """Return what has seen something end each `every` seconds."""
    found = Turnover()
    for _ in range(round(seconds / every)):
        time.now += every
        found.ended()
    return found


def test_nobody_stands_in_line_where_nothing_has_ended(time: Time) -> None:
    assert Turnover().line() == 0


@pytest.mark.parametrize(("every", "line"), [(0.002, LONGEST), (0.01, 25), (0.1, 2), (1.0, 0)])
def test_as_many_as_end_while_one_may_wait(time: Time, every: float, line: int) -> None:
    assert after(time, every=every, seconds=5).line() == pytest.approx(line, abs=1)


def test_nobody_stands_in_line_where_nothing_ends_any_more(time: Time) -> None:
    found = after(time, every=0.01, seconds=5)
    time.now += WAIT * 1.1
    assert found.line() == 0
    found.ended()
    time.now += 60
    found.ended()
    assert found.line() == 0


def test_many_that_end_at_one_instant_are_no_rate(time: Time) -> None:
    found = Turnover()
    for _ in range(8):
        found.ended()
    assert found.line() == 2
