"""The database's clock decides, whatever this machine's says."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.engine import clock as clock_module
from sereno.engine import clock as module
from sereno.engine.clock import Clock

SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=100)
THERE = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Machine:
    """A machine whose steady clock and wall clock the test sets."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steady = 1_000.0
        self.ahead = 0.0
        patch.setattr(module, "steady", lambda: self.steady)
        patch.setattr(
            clock_module, "_wall_time", lambda: (self.there - _EPOCH).total_seconds() + self.ahead
        )

    @property
    def there(self) -> datetime:
        """The time that the database would say now."""
        return THERE + timedelta(seconds=self.steady - 1_000.0)

    def sample(self, clock: Clock, forth: float = 0.001, back: float = 0.001) -> None:
        """Ask the database, over a network that takes `forth` and `back` seconds."""
        sent = self.steady
        self.steady += forth
        there = self.there
        self.steady += back
        clock.observe(there, sent, self.steady)

    def error(self, clock: Clock) -> float:
        return abs((clock.now() - self.there).total_seconds())


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_wall_clock_that_is_an_hour_wrong_does_not_matter(machine: Machine) -> None:
    machine.ahead = 3600.0
    clock = Clock()
    machine.sample(clock)
    assert machine.error(clock) < 0.002
    assert clock.offset == pytest.approx(3600.0, abs=0.01)


def test_a_wall_clock_that_steps_moves_nothing(machine: Machine) -> None:
    clock = Clock()
    machine.sample(clock)
    before = clock.now()
    machine.ahead = -7200.0
    assert clock.now() == before
    assert clock.offset == pytest.approx(-7200.0, abs=0.01)


def test_a_slow_answer_does_not_spoil_what_a_quick_one_told(machine: Machine) -> None:
    clock = Clock()
    machine.sample(clock, 0.001, 0.001)
    machine.sample(clock, 0.001, 4.0)
    assert machine.error(clock) < 0.002


def test_a_quicker_answer_is_believed(machine: Machine) -> None:
    clock = Clock()
    machine.sample(clock, 0.0, 2.0)
    assert machine.error(clock) > 0.9
    machine.sample(clock, 0.001, 0.001)
    assert machine.error(clock) < 0.002


def test_a_database_whose_clock_was_set_is_followed_at_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    machine.sample(clock)
    moved = THERE - timedelta(hours=1)
    clock.observe(moved, machine.steady, machine.steady + 0.002)
    assert abs((clock.now() - moved).total_seconds()) < 0.01


def test_an_old_sample_gives_way_after_a_minute_so_that_drift_is_followed(
    machine: Machine,
) -> None:
    clock = Clock()
    machine.sample(clock, 0.001, 0.001)
    machine.steady += 61.0
    machine.sample(clock, 0.1, 0.3)
    assert machine.error(clock) == pytest.approx(0.1, abs=0.002)


@SETTLED
@given(
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.floats(0, 20)), min_size=1),
)
def test_the_error_is_never_more_than_half_the_quickest_round_trip_of_the_minute(
    ahead: float, samples: list[tuple[float, float, float]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(patch)
        machine.ahead = ahead
        clock = Clock()
        taken: list[tuple[float, float]] = []
        for forth, back, pause in samples:
            machine.sample(clock, forth, back)
            taken.append((machine.steady, forth + back))
            quickest = min(trip for at, trip in taken if machine.steady - at <= 60)
            assert machine.error(clock) <= quickest / 2 + 1e-5
            machine.steady += pause


def test_until_counts_down_to_an_instant_and_on_below_zero(machine: Machine) -> None:
    clock = Clock()
    machine.sample(clock)
    assert clock.until(machine.there + timedelta(seconds=5)) == pytest.approx(5.0, abs=0.002)
    assert clock.until(machine.there - timedelta(seconds=5)) == pytest.approx(-5.0, abs=0.002)


def test_the_steady_clock_only_grows() -> None:
    told = [module.steady() for _ in range(1000)]
    assert told == sorted(told)
