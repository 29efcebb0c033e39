"""What every trigger promises, whatever its kind and however nested."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.model import schedule
from sereno.model.errors import TriggerError
from sereno.triggers import Trigger, any_of, cron, every, except_on, jitter, once, parse, within

from .drawn import instants, triggers

SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=200)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE_OF_EACH = [
    cron("0 8 * * *", "Europe/Madrid"),
    every("6h"),
    once(NOON + timedelta(days=1)),
    any_of(every("6h"), every("7h")),
    except_on(every("6h"), "2026-01-02"),
    within(every("6h"), start=NOON),
    jitter(every("6h"), "5m", "name"),
]


@SETTLED
@given(triggers)
def test_the_text_of_a_trigger_reads_back_as_the_same_trigger(trigger: Trigger) -> None:
    again = parse(trigger.text)
    assert again == trigger
    assert hash(again) == hash(trigger)
    assert again.text == trigger.text == str(trigger)


@SETTLED
@given(triggers, instants, st.data())
def test_slots_grow_and_going_on_from_any_instant_gives_the_same_ones(
    trigger: Trigger, start: datetime, data: st.DataObject
) -> None:
    before = start
    for slot in islice(trigger.slots(start), 6):
        assert slot > before
        assert slot.tzinfo is UTC
        between = data.draw(st.timedeltas(timedelta(0), slot - before - timedelta.resolution))
        assert trigger.next_after(before + between) == slot
        before = slot


@SETTLED
@given(triggers, instants)
def test_the_zone_in_which_an_instant_is_told_does_not_matter(
    trigger: Trigger, start: datetime
) -> None:
    assert trigger.next_after(start.astimezone(ZoneInfo("Asia/Kolkata"))) == trigger.next_after(
        start
    )


@SETTLED
@given(triggers, st.text(min_size=1, max_size=5))
def test_a_key_given_later_reaches_each_jitter_that_has_none(trigger: Trigger, key: str) -> None:
    keyed = trigger.keyed(key)
    assert keyed.keyed("another") == keyed
    assert parse(keyed.text) == keyed


@pytest.mark.parametrize("trigger", ONE_OF_EACH, ids=str)
class TestEachKind:
    """One example of each kind."""

    def test_it_is_what_the_model_calls_a_trigger(self, trigger: Trigger) -> None:
        assert isinstance(trigger, schedule.SlotSource)

    def test_it_is_a_value(self, trigger: Trigger) -> None:
        assert pickle.loads(pickle.dumps(trigger)) == trigger
        assert not hasattr(trigger, "__dict__")
        for field in fields(trigger):  # type: ignore[arg-type]
            with pytest.raises(FrozenInstanceError):
                setattr(trigger, field.name, None)

    def test_a_naive_instant_is_refused(self, trigger: Trigger) -> None:
        with pytest.raises(TriggerError, match="it has no time zone"):
            trigger.next_after(NOON.replace(tzinfo=None))

    def test_at_the_end_of_the_calendar_there_is_no_next_slot(self, trigger: Trigger) -> None:
        assert trigger.next_after(datetime.max.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize("trigger", [cron("0 8 * * *"), jitter(cron("*/7 * * * *"), "5m")], ids=str)
def test_threads_that_share_a_trigger_do_not_disturb_each_other(trigger: Trigger) -> None:
    starts = [NOON + timedelta(hours=37 * (n % 50), days=n % 7) for n in range(2_000)]
    expected = [trigger.next_after(start) for start in starts]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(trigger.next_after, starts))
    finally:
        sys.setswitchinterval(interval)
    assert found == expected


@pytest.mark.parametrize(
    "kind", [any_of, lambda t: except_on(t, "2026-01-01"), lambda t: jitter(t, 5)]
)
@pytest.mark.parametrize("value", ["every 6h", None, 6])
def test_only_triggers_can_be_joined_and_changed(kind: object, value: object) -> None:
    with pytest.raises(TriggerError, match=r"is no trigger; build one with cron, every or parse"):
        kind(value)  # type: ignore[operator]
