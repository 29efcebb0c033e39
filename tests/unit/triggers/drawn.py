"""Triggers of all kinds, drawn at random and nested."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from sereno.model.errors import TriggerError
from sereno.triggers import Trigger, any_of, cron, every, except_on, jitter, once, within

ZONE_NAMES = ["UTC", "Europe/Madrid", "Australia/Lord_Howe", "America/Santiago", "Pacific/Chatham"]
EXPRESSIONS = [
    "0 8 * * *",
    "*/15 9-17 * * MON-FRI",
    "30 2 * * *",
    "0 0 1,15 * *",
    "@weekly",
    "*/10 0 0 * * *",
    "0 0 * * 5L",
]

HOLIDAYS = [None, "0 0 25 12 *", "30 2 * * SUN", "@monthly"]

instants = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)
dates = st.dates(date(2024, 1, 1), date(2027, 1, 1))
crons = st.builds(
    cron,
    st.sampled_from(EXPRESSIONS),
    st.sampled_from(ZONE_NAMES),
    gap=st.sampled_from(["debian", "run", "skip"]),
    fold=st.sampled_from(["debian", "first", "last", "both"]),
)
intervals = st.builds(
    every,
    st.timedeltas(timedelta(milliseconds=10), timedelta(days=40)),
    st.just("1970-01-01T00:00Z") | instants,
)
leaves: SearchStrategy[Trigger] = crons | intervals | st.builds(once, instants)
keys = st.text(max_size=8) | st.sampled_from(
    ["", "etl_ivr.sync", "a b", '"', "(", "key=x", "é\n\\"]
)


def around(inner: SearchStrategy[Trigger]) -> SearchStrategy[Trigger]:
    """Draw a trigger made of others."""
    return st.one_of(
        fitting(any_of, inner, inner),
        fitting(
            _except_on, inner, st.lists(dates, min_size=1, max_size=5), st.sampled_from(HOLIDAYS)
        ),
        fitting(_within, inner, st.tuples(instants | st.none(), instants | st.none())),
        fitting(jitter, inner, st.integers(1, 90_000), keys),
    )


@st.composite
def fitting(draw: DrawFn, build: Callable[..., Any], *parts: SearchStrategy[Any]) -> Trigger:
    """Build from drawn parts; those that contradict each other are drawn again."""
    try:
        found = build(*(draw(part) for part in parts))
    except TriggerError:
        assume(False)
        raise
    assert isinstance(found, Trigger)
    return found


def _except_on(trigger: Trigger, days: list[date], holidays: str | None) -> Trigger:
    others = [cron(holidays, trigger.zone or "UTC")] if holidays else []
    return except_on(trigger, *days, *others)


def _within(trigger: Trigger, bounds: tuple[datetime | None, datetime | None]) -> Trigger:
    start, end = bounds
    return within(trigger, start=start, end=end)


triggers = leaves | around(leaves) | around(around(leaves))
