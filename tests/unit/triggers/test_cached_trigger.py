"""A trigger that remembers its last steps answers as the bare one does, and asks it less."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.triggers import Trigger, every
from sereno.triggers.step_cache import CachedTrigger

from .drawn import instants, triggers

SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=200)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Asked(Trigger):
    """Every hour; `instants`: what it was asked for."""

    instants: list[datetime] = field(default_factory=list, compare=False)

    def next_after(self, instant: datetime) -> datetime | None:
        self.instants.append(instant)
        return every(HOUR).next_after(instant)

    @property
    def text(self) -> str:
        return "asked"


@SETTLED
@given(triggers, instants, st.lists(st.timedeltas(timedelta(0), timedelta(days=9)), max_size=12))
def test_it_answers_as_the_bare_trigger_in_whatever_order_it_is_asked(
    trigger: Trigger, start: datetime, steps: list[timedelta]
) -> None:
    remembered = CachedTrigger(trigger)
    for step in steps:
        instant = start + step
        answer = trigger.next_after(instant)
        assert remembered.next_after(instant) == answer
        if answer is not None:  # as the planner asks: for what follows, and again from between
            assert remembered.next_after(answer) == trigger.next_after(answer)
            assert remembered.next_after(instant) == answer
    assert (remembered.text, remembered.zone) == (trigger.text, trigger.zone)


def test_the_slot_that_is_due_and_the_one_after_it_are_each_computed_once() -> None:
    bare = Asked()
    trigger = CachedTrigger(bare)
    before = NOON - timedelta(minutes=1)
    for _ in range(3):
        assert trigger.next_after(before) == NOON
        assert trigger.next_after(NOON) == NOON + HOUR
        assert trigger.next_after(NOON + timedelta(minutes=59)) == NOON + HOUR
    assert bare.instants == [before, NOON]


def test_an_answer_that_is_no_later_than_the_question_is_not_kept() -> None:
    class Stuck(Asked):
        def next_after(self, instant: datetime) -> datetime | None:
            self.instants.append(instant)
            return NOON

    bare = Stuck()
    trigger = CachedTrigger(bare)
    assert [trigger.next_after(NOON), trigger.next_after(NOON)] == [NOON, NOON]
    assert bare.instants == [NOON, NOON]
