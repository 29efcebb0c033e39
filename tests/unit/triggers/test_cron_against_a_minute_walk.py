"""Cron triggers give what a daemon would that looks at the clock once a minute."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from sereno.model.errors import TriggerError
from sereno.triggers import cron

from .minute_walk import MINUTE, ZONES, Fields, clock, walk

DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
FIFTY_YEARS = [date(1970, 1, 1) + timedelta(days=n) for n in range(50 * 366)]
SETTLED = settings(derandomize=True, deadline=None, database=None)


def fields_of(text: str, minutes: set[int], hours: set[int]) -> Fields:
    days, months, week = frozenset(range(1, 32)), frozenset(range(1, 13)), frozenset(range(7))
    return Fields(text, frozenset(minutes), frozenset(hours), days, months, week)


# What the traps of DST are made of: fixed and wildcard, one hour and several, at 0, 2, 3 and 23.
WHOLE = [
    fields_of("0 0 * * *", {0}, {0}),
    fields_of("30 2 * * *", {30}, {2}),
    fields_of("15 */8 * * *", {15}, {0, 8, 16}),
    fields_of("0,50 1,23 * * *", {0, 50}, {1, 23}),
]
NEAR_CHANGES = [
    fields_of("*/15 * * * *", {0, 15, 30, 45}, set(range(24))),
    fields_of("*/7 * * * *", set(range(0, 60, 7)), set(range(24))),
    fields_of("*/20 1-3 * * *", {0, 20, 40}, {1, 2, 3}),
    fields_of("5-10 0-23 * * *", set(range(5, 11)), set(range(24))),
]
POLICIES = [
    ("debian", "debian"),
    ("skip", "last"),
    ("run", "both"),
    ("skip", "first"),
    ("run", "last"),
]

ALIKE = {
    *("Europe/London", "America/New_York", "America/Los_Angeles"),  # as Madrid
    *("America/Santiago", "America/Asuncion", "America/Sao_Paulo", "Asia/Beirut"),  # as Havana
}
"""Zones whose clock does what another's does."""
LONG = pytest.mark.long(
    "tests/unit/triggers/test_cron_against_a_minute_walk.py"
    "::test_two_years_of_slots_are_those_of_a_minute_walk"
)
KINDS_OF_ZONES = [pytest.param(zone, marks=LONG if zone in ALIKE else []) for zone in ZONES]


@pytest.mark.parametrize("fields", WHOLE, ids=lambda fields: fields.text)
@pytest.mark.parametrize("zone", KINDS_OF_ZONES)
def test_two_years_of_slots_are_those_of_a_minute_walk(zone: str, fields: Fields) -> None:
    trigger = cron(fields.text, zone)
    begin, end = clock(zone).begin - MINUTE, clock(zone).end - MINUTE
    assert list(trigger.slots(begin, end)) == walk(fields, zone).between(begin, end)


@pytest.mark.parametrize(("gap", "fold"), POLICIES)
@pytest.mark.parametrize("zone", KINDS_OF_ZONES)
def test_around_each_change_of_the_clock_each_policy_gives_what_it_says(
    zone: str, gap: str, fold: str
) -> None:
    for fields in WHOLE + NEAR_CHANGES:
        expected = walk(fields, zone, gap, fold)
        trigger = cron(fields.text, zone, gap=gap, fold=fold)  # type: ignore[arg-type]
        for change in clock(zone).changes:
            begin, end = change - timedelta(hours=4), change + timedelta(hours=3)
            slots = list(trigger.slots(begin, end))
            assert slots == expected.between(begin, end), (fields.text, change)


def numbers(draw: DrawFn, low: int, high: int, names: tuple[str, ...] = ()) -> tuple[str, set[int]]:
    """Draw one part of a field, and what it means."""
    top = high - 1 if high == 7 else high  # 7 is Sunday again, and ends no star
    value = st.integers(low, high)

    def name(n: int) -> str:
        return draw(st.sampled_from([str(n), names[n - low]])) if n - low < len(names) else str(n)

    def between(a: int, b: int) -> set[int]:
        if a > b:
            return {*range(a, top + 1), *range(low, b + 1)}
        return set(range(a, b + 1))

    kind = draw(st.sampled_from(["value", "list", "range", "wrap", "star step", "range step"]))
    if kind == "star step":
        step = draw(st.integers(1, high + 5))
        return f"*/{step}", set(range(low, top + 1, step))
    if kind == "list":
        values = draw(st.lists(value, min_size=2, max_size=4))
        return ",".join(name(n) for n in values), set(values)
    first, last = draw(value), draw(value)
    if kind == "value":
        return name(first), {first}
    if (kind == "wrap" and 7 not in (first, last)) or first == last:
        return f"{name(first)}-{name(last)}", between(first, last)
    first, last = min(first, last), max(first, last)
    if kind == "range step":
        step = draw(st.integers(1, 9))
        return f"{first}-{last}/{step}", set(range(first, last + 1, step))
    return f"{first}-{last}", between(first, last)


@st.composite
def expressions(draw: DrawFn) -> Fields:
    """Draw expressions of all shapes, most of whose days come often enough to matter."""

    def field(
        low: int, high: int, names: tuple[str, ...] = (), stars: int = 1
    ) -> tuple[str, frozenset[int]]:
        if draw(st.integers(0, 3)) < stars:
            return "*", frozenset(range(low, high + 1))
        text, values = numbers(draw, low, high, names)
        return text, frozenset(values)

    minute, minutes = field(0, 59)
    hour, hours = field(0, 23)
    month_day, month_days = field(1, 31, stars=3)
    month, months = field(1, 12, MONTHS, stars=3)
    week_day, week_days = field(0, 7, DAYS, stars=2)
    text = f"{minute} {hour} {month_day} {month} {week_day}"
    return Fields(text, minutes, hours, month_days, months, frozenset(n % 7 for n in week_days))


def instants(zone: str) -> st.SearchStrategy[datetime]:
    """Draw instants to the microsecond, half of them within four hours of a change of the clock."""
    begin, end = clock(zone).begin, clock(zone).end - timedelta(days=40)
    anywhere = st.datetimes(begin.replace(tzinfo=None), end.replace(tzinfo=None))
    free = anywhere.map(lambda naive: naive.replace(tzinfo=UTC))
    changes = [change for change in clock(zone).changes if change < end]
    if not changes:
        return free
    hours = st.timedeltas(timedelta(hours=-4), timedelta(hours=4))
    near = st.builds(lambda change, shift: change + shift, st.sampled_from(changes), hours)
    return near | free | st.sampled_from(changes)


@settings(SETTLED, max_examples=200)
@given(st.data(), expressions(), st.sampled_from(list(ZONES)), st.sampled_from(POLICIES))
def test_from_any_instant_any_expression_goes_on_as_the_minute_walk_does(
    data: st.DataObject, fields: Fields, zone: str, policy: tuple[str, str]
) -> None:
    gap, fold = policy
    expected = walk(fields, zone, gap, fold)
    if not any(map(fields.on, FIFTY_YEARS)):
        with pytest.raises(TriggerError, match="it never fires"):
            cron(fields.text, zone)
        return
    trigger = cron(fields.text, zone, gap=gap, fold=fold)  # type: ignore[arg-type]
    limit = clock(zone).end
    for instant in data.draw(st.lists(instants(zone), min_size=3, max_size=3)):
        due = expected.first_after(instant)
        found = trigger.next_after(instant)
        assert found == due or (due is None and (found is None or found >= limit))
        local = instant.astimezone(ZoneInfo(zone))  # with its fold
        assert trigger.next_after(local) == found


def _on_a_chain(step: Callable[[datetime], datetime | None], begin: datetime) -> list[datetime]:
    chain: list[datetime] = []
    slot = step(begin)
    while slot is not None and len(chain) < 12:
        chain.append(slot)
        slot = step(slot)
    return chain


@settings(SETTLED, max_examples=100)
@given(st.data(), expressions(), st.sampled_from(list(ZONES)), st.sampled_from(POLICIES))
def test_slots_only_ever_grow_and_any_instant_between_two_leads_to_the_later(
    data: st.DataObject, fields: Fields, zone: str, policy: tuple[str, str]
) -> None:
    assume(any(map(fields.on, FIFTY_YEARS)))
    trigger = cron(fields.text, zone, gap=policy[0], fold=policy[1])  # type: ignore[arg-type]
    begin = data.draw(instants(zone))
    chain = _on_a_chain(trigger.next_after, begin)
    for before, slot in zip([begin, *chain], chain, strict=False):
        assert before < slot
        between = data.draw(st.datetimes(_naive(before), _naive(slot) - timedelta.resolution))
        assert trigger.next_after(between.replace(tzinfo=UTC)) == slot


def _naive(instant: datetime) -> datetime:
    return instant.replace(tzinfo=None)
