"""Keys take turns within a priority, and leave every other place to what has none."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from sereno.engine.turns import Turns
from sereno.model.ledger import Queued


def waiting(run_id: int, turn: int | None, priority: int = 0, child: bool = False) -> Queued:
    return Queued(
        run_id=run_id,
        job="a",
        schedule_id=None,
        concurrency_key=None if turn is None else f"k{turn}",
        policies={},
        priority=priority,
        turn=turn,
        child=child,
    )


FREE = [waiting(n, None) for n in range(3)]
KEYED = [waiting(n, n) for n in range(10, 12)]


def ids(found: list[Queued]) -> list[int]:
    return [run.run_id for run in found]


def test_those_without_a_key_have_every_other_place() -> None:
    turns = Turns()
    assert ids(turns.merged(FREE, KEYED)) == [10, 0, 11, 1, 2]
    turns.taken(KEYED[0])
    assert ids(turns.merged(FREE, KEYED)) == [0, 10, 1, 11, 2]
    turns.taken(FREE[0])
    assert ids(turns.merged(FREE, KEYED)) == [10, 0, 11, 1, 2]


def test_alone_each_keeps_its_order() -> None:
    assert Turns().merged(FREE, []) == FREE
    assert Turns().merged([], KEYED) == KEYED


def test_of_each_priority_it_is_known_whose_turn_was_last() -> None:
    turns = Turns()
    for run in (waiting(1, 7, 5), waiting(2, 8, 5), waiting(3, 9), waiting(4, None)):
        turns.taken(run)
    assert turns.last == {5: 8, 0: 9}


@given(
    st.lists(st.integers(-2, 2), max_size=8),
    st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), max_size=8),
)
def test_priority_comes_first_and_each_is_there_once_in_its_own_order(
    free: list[int], keyed: list[tuple[int, int]]
) -> None:
    one = [waiting(n, None, p) for n, p in enumerate(sorted(free, reverse=True))]
    other = [waiting(100 + n, t, p) for n, (p, t) in enumerate(sorted(keyed, reverse=True))]
    found = Turns().merged(one, other)
    assert sorted(ids(found)) == sorted(ids([*one, *other]))
    assert [r.priority for r in found] == sorted((r.priority for r in found), reverse=True)
    assert [r for r in found if r.turn is None] == one
    assert [r for r in found if r.turn is not None] == other
    for _, level in groupby(found, key=lambda run: run.priority):
        kinds = [run.turn is None for run in level]
        ahead = [
            kinds[: n + 1].count(True) - kinds[: n + 1].count(False) for n in range(len(kinds))
        ]
        fewer = min(kinds.count(True), kinds.count(False))
        assert all(abs(n) <= 1 for n in ahead[: 2 * fewer])


CHILDREN = [waiting(n, None, -1, child=True) for n in range(20, 23)]
MANY = [waiting(n, None) for n in range(10)]


def test_one_place_of_four_is_a_childs_where_others_wait_one_above() -> None:
    turns = Turns()
    found = turns.with_children(MANY, CHILDREN)
    assert ids(found) == [0, 1, 2, 20, 3, 4, 5, 21, 6, 7, 8, 22, 9]
    assert ids(turns.with_children(MANY[:2], CHILDREN)) == [0, 1, 20, 21, 22]


def test_a_childs_place_is_known_over_looks_at_the_queue_of_one_place_each() -> None:
    turns, started = Turns(), list[int]()
    many, children = list(MANY), list(CHILDREN)
    for _ in range(12):
        run = turns.with_children(many[:1], children[:1])[0]
        turns.taken(run)
        (children if run.child else many).remove(run)
        started.append(run.run_id)
    assert started == [0, 1, 2, 20, 3, 4, 5, 21, 6, 7, 8, 22]


def test_a_child_is_before_nobody_of_two_priorities_above_and_is_there_once() -> None:
    high = [waiting(n, None, 1) for n in range(30, 38)]
    found = Turns().with_children([*high, *MANY, CHILDREN[0]], CHILDREN)
    assert ids(found)[:9] == [*range(30, 38), 20]
    assert sorted(ids(found)) == sorted(ids([*high, *MANY, *CHILDREN]))


def test_a_child_takes_no_keys_turn() -> None:
    turns = Turns()
    turns.taken(KEYED[0])
    turns.taken(waiting(24, 9, -1, child=True))
    assert turns.last == {0: 10}
    assert ids(turns.merged(FREE, KEYED))[0] == 0
