"""Where every day is alike, the next time is what croniter finds, by looking nowhere."""

from datetime import datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from sereno.triggers.expression import canonical
from sereno.triggers.wall_clock import WallClock

SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=300)


@st.composite
def fields(draw: DrawFn, top: int) -> str:
    """Draw a field of a second, minute or hour."""
    values = st.integers(0, top)
    low, high = sorted((draw(values), draw(values)))
    return draw(
        st.sampled_from(["*", "*/1", f"*/{high or 1}", f"{low}", f"{high},{low}", f"{low}/7"])
        | st.just(f"{low}-{high}" if low < high else "*")
        | st.just(f"{low}-{high}/3,{high}" if low < high else "0")
    )


@SETTLED
@given(
    st.none() | fields(59),
    fields(59),
    fields(23),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
    st.lists(st.timedeltas(timedelta(0), timedelta(days=2)), min_size=1, max_size=8),
)
def test_it_finds_what_croniter_finds(
    second: str | None, minute: str, hour: str, wall: datetime, steps: list[timedelta]
) -> None:
    expression = canonical(f"{'' if second is None else second} {minute} {hour} * * *")
    clock = WallClock(expression)
    cursor = croniter(expression, second_at_beginning=True, ret_type=datetime)
    for step in steps:
        wall += step
        assert clock.next_after(wall) == cursor.get_next(datetime, start_time=wall)


@pytest.mark.parametrize("expression", ["0 0 * * *", "@hourly", "* * * * * *", "59 23 * * ?"])
def test_after_the_end_of_the_calendar_there_is_nothing(expression: str) -> None:
    clock = WallClock(expression)
    assert clock.next_after(datetime(9999, 12, 31, 23, 59, 59)) is None  # noqa: DTZ001
