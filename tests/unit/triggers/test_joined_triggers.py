"""Triggers made of triggers: united, without holidays, within bounds, spread."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.model.errors import TriggerError
from sereno.triggers import Trigger, any_of, cron, every, except_on, jitter, once, within

from .drawn import instants

SETTLED = settings(derandomize=True, deadline=None, database=None)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours(trigger: Trigger, count: int, after: datetime = NOON) -> list[float]:
    return [(slot - after) / HOUR for slot in islice(trigger.slots(after), count)]


def test_a_union_fires_whenever_one_does_and_once_where_both_do() -> None:
    assert hours(any_of(every("2h"), every("3h")), 6) == [2, 3, 4, 6, 8, 9]


def test_a_union_ends_when_its_last_trigger_does() -> None:
    trigger = any_of(once(NOON + HOUR), once(NOON + 2 * HOUR))
    assert hours(trigger, 5) == [1, 2]


def test_a_union_is_flat_has_no_doubles_and_of_one_is_that_one() -> None:
    assert any_of(every("2h"), every("2h")) == every("2h")
    nested = any_of(any_of(every("2h"), every("3h")), every("2h"))
    assert nested == any_of(every("2h"), every("3h"))
    with pytest.raises(TriggerError, match="it has no triggers, it needs one or more"):
        any_of()


def test_a_holiday_has_no_slots_on_the_whole_of_its_local_day() -> None:
    trigger = except_on(cron("0 */6 * * *", "Asia/Tokyo"), date(2026, 1, 2), "2026-01-03")
    # Tokyo's 2 January begins at 15:00 UTC on the 1st; noon UTC is 21:00 there
    assert hours(trigger, 2) == [51, 57]
    assert trigger == except_on(trigger.trigger, "2026-01-03", "2026-01-02", tz="Asia/Tokyo")


def test_the_days_of_an_exception_can_be_those_of_another_zone() -> None:
    trigger = except_on(every("6h"), "2026-01-02", tz="America/New_York")
    assert hours(trigger, 4) == [6, 12, 42, 48]


def test_a_trigger_as_exception_takes_out_each_day_on_which_it_fires() -> None:
    weekends = cron("0 0 * * SAT,SUN", "Europe/Madrid")
    trigger = except_on(cron("0 8 * * *", "Europe/Madrid"), weekends)
    assert [f"{slot:%a %d}" for slot in islice(trigger.slots(NOON), 3)] == [
        "Fri 02",
        "Mon 05",
        "Tue 06",
    ]


def test_an_exception_on_a_day_that_begins_in_a_gap_takes_out_that_day_alone() -> None:
    trigger = except_on(cron("0 * * * *", "Africa/Cairo"), "2023-04-28")  # begins at 01:00
    start = datetime(2023, 4, 27, 20, tzinfo=UTC)
    assert hours(trigger, 3, start) == [1, 25, 26]


@pytest.mark.parametrize(
    ("other", "left_out"),
    [
        ("30 23 25 10 *", date(2026, 10, 25)),  # of 25 hours: the last but one is of it
        ("30 0 30 3 *", date(2026, 3, 30)),  # the day after one of 23: its first is not of that
    ],
)
def test_days_on_which_another_fires_are_as_long_as_the_clock_makes_them(
    other: str, left_out: date
) -> None:
    trigger = except_on(cron("0 8 * * *", "Europe/Madrid"), cron(other, "Europe/Madrid"))
    before = datetime.combine(left_out - timedelta(days=2), datetime.min.time(), UTC)
    days = [slot.date() for slot in islice(trigger.slots(before), 3)]
    assert days == [left_out + timedelta(days=n) for n in (-2, -1, 1)]


def test_a_midnight_that_the_clock_repeats_belongs_to_its_own_day_both_times() -> None:
    # St John's went from 00:01 on 7 November 2010 back to 23:01 on the 6th.
    trigger = except_on(cron("* * * * *", "America/St_Johns"), "2010-11-06")
    start = datetime.fromisoformat("2010-11-06T12:00-02:30")
    zone = ZoneInfo("America/St_Johns")
    found = [f"{slot.astimezone(zone):%d %H:%M%z}" for slot in islice(trigger.slots(start), 3)]
    assert found == ["07 00:00-0230", "07 00:00-0330", "07 00:01-0330"]


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: except_on(every("6h")), "it names no day; add dates, a trigger or a calendar"),
        (lambda: except_on(every("6h"), "25 Dec"), "25 Dec is no date; write it like 2026-12-25"),
        (lambda: except_on(every("6h"), NOON), "2026-01-01 12:00:00[+]00:00 is no date"),
        (lambda: except_on(every("6h"), 5), "5 is no date"),  # type: ignore[arg-type]
        (lambda: except_on(every("6h"), "2026-01-01", tz="Mars"), "there is no such zone"),
        (lambda: except_on(cron("0 8 * * *"), cron("0 9 * * *")), "it never fires; its exceptions"),
        (lambda: except_on(once(NOON), "2026-01-01"), "it never fires; its exceptions"),
        (
            lambda: except_on(cron("0 8 * * *", "Asia/Tokyo"), cron("0 0 25 12 *")),
            "follows UTC, but the days are those of Asia/Tokyo; give both the same zone",
        ),
        (lambda: within(every("6h")), "it has no bounds; give it start, end, or both"),
        (
            lambda: within(every("6h"), start=NOON, end=NOON),
            "start 2026-01-01T12:00:00Z is not before end 2026-01-01T12:00:00Z",
        ),
        (lambda: within(every("6h"), start=NOON - HOUR, end=NOON), "its window holds no slot"),
        (lambda: within(once(NOON), start=NOON + HOUR), "its window holds no slot"),
        (lambda: jitter(every("6h"), 0), "the spread is 0s, it must be 1s to 366d"),
        (lambda: jitter(every("6h"), "60w"), "the spread is 420d, it must be 1s to 366d"),
    ],
)
def test_a_contradiction_is_refused_with_a_sentence(build: object, sentence: str) -> None:
    with pytest.raises(TriggerError, match=sentence):
        build()  # type: ignore[operator]


def test_a_window_includes_its_start_and_excludes_its_end() -> None:
    trigger = within(every("1h"), start=NOON + 2 * HOUR, end=NOON + 4 * HOUR)
    assert hours(trigger, 9) == [2, 3]


def test_a_window_can_have_one_bound() -> None:
    assert hours(within(every("1h"), end=NOON + 2 * HOUR), 9) == [1]
    assert hours(within(every("1h"), start="2026-01-01T15:00Z"), 2) == [3, 4]


def test_a_bound_without_offset_is_read_in_the_zone_of_the_trigger() -> None:
    trigger = within(cron("0 0 * * *", "Europe/Madrid"), start="2026-03-01")
    assert trigger.start == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert trigger.next_after(NOON) == trigger.start


def test_jitter_puts_each_slot_off_by_less_than_its_spread_and_differently_for_each_key() -> None:
    base = list(islice(every("6h").slots(NOON), 200))
    shifts = {}
    for key in ("one", "two"):
        moved = list(
            islice(jitter(every("6h"), "10m", key).slots(NOON + timedelta(minutes=10)), 200)
        )
        shifts[key] = [after - before for before, after in zip(base, moved, strict=True)]
        assert all(timedelta(0) <= shift < timedelta(minutes=10) for shift in shifts[key])
        assert len(set(shifts[key])) > 100
    assert shifts["one"] != shifts["two"]


def test_jitter_is_the_same_in_every_process_and_release() -> None:
    trigger = jitter(cron("0 3 * * *", "Europe/Madrid"), "10m", "etl_ivr.sync")
    found = [f"{slot:%d %H:%M:%S}" for slot in islice(trigger.slots(NOON), 3)]
    assert found == ["02 02:06:47", "03 02:07:00", "04 02:06:35"]


@settings(SETTLED, max_examples=60)
@given(
    st.sampled_from([every("1s"), every("250ms"), every("7m"), cron("*/10 8-9 * * *"), once(NOON)]),
    st.integers(1, 4000),
    instants,
    st.text(max_size=3),
)
def test_jitter_keeps_order_and_number_however_wide_the_spread(
    trigger: Trigger, spread: int, start: datetime, key: str
) -> None:
    spread_out = jitter(trigger, spread, key)
    moved = list(islice(spread_out.slots(start), 6))
    for before, after in pairwise(moved):
        assert before < after
        for part in (0.01, 0.5, 0.99):
            assert spread_out.next_after(before + part * (after - before)) == after
    begin = start - timedelta(seconds=min(spread, 20))
    for slot in islice(trigger.slots(begin), 30):  # each slot lands before the next one
        following = trigger.next_after(slot)
        landed = spread_out.next_after(slot - timedelta.resolution)
        assert landed is not None
        assert slot <= landed < slot + timedelta(seconds=spread)
        assert following is None or landed < following
