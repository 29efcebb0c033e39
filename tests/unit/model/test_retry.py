from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import DeclarationError, Retry, retry


def test_the_wait_doubles_up_to_its_limit() -> None:
    rule = retry(6, delay="10s", max_delay="1m", jitter=0)

    waits = [rule.wait(attempt, 0.5) for attempt in range(1, 6)]

    assert waits == [timedelta(seconds=s) for s in (10, 20, 40, 60, 60)]


def test_no_wait_follows_the_last_attempt() -> None:
    assert retry(3).wait(2, 0.5) is not None
    assert retry(3).wait(3, 0.5) is None
    assert Retry().wait(1, 0.5) is None


def test_chance_spreads_the_wait_on_both_sides() -> None:
    rule = retry(2, delay="100s", jitter=0.2)

    assert rule.wait(1, 0.0) == timedelta(seconds=80)
    assert rule.wait(1, 0.5) == timedelta(seconds=100)
    assert timedelta(seconds=119) < (rule.wait(1, 0.999) or timedelta()) < timedelta(seconds=120)


@given(
    attempt=st.integers(1, 100_000),
    delay=st.floats(0, 86_400),
    factor=st.floats(1, 1000),
    limit=st.floats(0, 86_400 * 366),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_never_negative_and_never_beyond_its_spread(
    attempt: int, delay: float, factor: float, limit: float, jitter: float, chance: float
) -> None:
    rule = retry(attempt + 1, delay=delay, factor=factor, max_delay=limit, jitter=jitter)

    wait = rule.wait(attempt, chance)

    assert wait is not None
    assert timedelta(0) <= wait
    assert wait.total_seconds() <= min(limit * (1 + jitter), 1e12) + 1e-3


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"attempts": 0}, "retry: attempts is 0, it must be at least 1"),
        ({"factor": 0.5}, "retry: factor is 0.5, it must be from 1 to 1000"),
        ({"factor": float("nan")}, "retry: factor is nan, it must be from 1 to 1000"),
        ({"jitter": 1.5}, "retry: jitter is 1.5, it is a share from 0 to 1"),
        ({"jitter": float("nan")}, "retry: jitter is nan, it is a share from 0 to 1"),
        ({"delay": timedelta(-1)}, "retry: delay is -1 day, 0:00:00, it must be from 0s to 366d"),
        (
            {"max_delay": timedelta(days=400)},
            "retry: max_delay is 400 days, 0:00:00, it must be from 0s to 366d",
        ),
    ],
)
def test_a_rule_that_cannot_work_is_refused(fault: dict[str, object], sentence: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        Retry(**fault)  # type: ignore[arg-type]

    assert str(refusal.value) == sentence
