from typing import get_args

from sereno.model.run import FINAL, TRANSITIONS, RunState


def test_every_state_has_its_row_in_the_table_of_transitions() -> None:
    assert set(TRANSITIONS) == set(get_args(RunState))


def test_nothing_leaves_a_final_state() -> None:
    assert all(not TRANSITIONS[state] for state in FINAL)


def test_every_state_can_be_reached_from_queued() -> None:
    reached: set[RunState] = {"queued"}
    while len(grown := reached.union(*(TRANSITIONS[state] for state in reached))) > len(reached):
        reached = grown

    assert reached == set(get_args(RunState))
