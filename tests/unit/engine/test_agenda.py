"""What the leader looks at next."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sereno.engine.agenda import Agenda
from sereno.model.ledger import Entry

from .ledger import START, schedule

SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=200)


def entry(schedule_id: int, seconds: int) -> Entry:
    return replace(schedule(), schedule_id=schedule_id, wake_at=START + timedelta(seconds=seconds))


@SETTLED
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(1, 6), st.integers(0, 50)),
            st.tuples(st.just("due"), st.integers(1, 4), st.integers(0, 50)),
        ),
        max_size=40,
    )
)
def test_it_gives_the_newest_entry_of_each_schedule_soonest_first(
    steps: list[tuple[str, int, int]],
) -> None:
    agenda, held = Agenda(), dict[int, datetime]()
    for step, number, seconds in steps:
        if step == "put":
            agenda.put([entry(number, seconds)])
            held[number] = START + timedelta(seconds=seconds)
        else:
            until = START + timedelta(seconds=seconds)
            found = agenda.due(until, limit=number)
            wanted = sorted(wake for wake in held.values() if wake <= until)[:number]
            assert [e.wake_at for e in found] == wanted
            for e in found:
                assert held.pop(e.schedule_id) == e.wake_at
        assert agenda.next_wake() == min(held.values(), default=None)
        assert len(agenda) == len(held)


def test_what_was_taken_out_is_gone_until_it_is_put_again() -> None:
    agenda = Agenda()
    agenda.put([entry(1, 5)])
    (taken,) = agenda.due(START + timedelta(seconds=5), 10)
    assert agenda.due(START + timedelta(days=1), 10) == []
    agenda.put([taken])
    assert agenda.next_wake() == taken.wake_at


def test_clear_forgets_everything() -> None:
    agenda = Agenda()
    agenda.put([entry(1, 5), entry(2, 6)])
    agenda.clear()
    assert (agenda.next_wake(), len(agenda)) == (None, 0)
