"""A look in passing leaves nothing behind: what is due in months takes no memory meanwhile."""

import gc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from sereno.triggers import cron
from sereno.triggers.step_cache import in_passing, kept
from sereno.triggers.wall_clock import WallClock


def test_what_is_found_is_at_hand_the_next_time() -> None:
    made: list[int] = []

    @kept(2)
    def double(n: int) -> int:
        made.append(n)
        return 2 * n

    assert [double(1), double(2), double(1), double(2)] == [2, 4, 2, 4]
    assert made == [1, 2]


def test_a_look_in_passing_leaves_what_is_at_hand_as_it_is() -> None:
    made: list[int] = []

    @kept(2)
    def double(n: int) -> int:
        made.append(n)
        return 2 * n

    double(1)
    with in_passing():
        assert [double(n) for n in range(100)] == [2 * n for n in range(100)]
        assert [double(99), double(99)] == [198, 198]  # the last few are at hand there as well
    double(1)
    assert made == [1, *range(100)]
    double(99)
    assert made[-1] == 99  # what was computed in passing is not at hand outside


def test_one_thread_s_look_in_passing_is_no_other_s() -> None:
    made: list[int] = []

    @kept(2)
    def double(n: int) -> int:
        made.append(n)
        return 2 * n

    with ThreadPoolExecutor(1) as other:
        with in_passing():
            other.submit(double, 1).result()
        other.submit(double, 1).result()
    double(1)
    assert made == [1]


def clocks() -> list[WallClock]:
    """Return all that are in memory. (isinstance would ask lazy objects of others for their class,
    which may fail.)"""
    return [one for one in gc.get_objects() if type(one) is WallClock]


def test_hundreds_of_cron_expressions_that_are_declared_leave_few_clocks() -> None:
    before = clocks()  # held, so that none of them makes room for a new one unseen
    known = {id(one) for one in before}

    def new() -> int:
        return sum(id(one) not in known for one in clocks())

    declared = [cron(f"{n % 60} {n // 60} 29 2 *") for n in range(300)]
    assert new() < 50
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert len({trigger.next_after(after) for trigger in declared}) == 300
    assert new() > 250  # these are due: they are asked again soon
