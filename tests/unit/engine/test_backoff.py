"""Replicas that wait for a database neither rush it nor march in step."""

from sereno.engine.backoff import Backoff


def test_waits_double_up_to_the_longest_within_a_quarter_either_way() -> None:
    backoff = Backoff(first=0.1, longest=1.0)
    for wanted in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert 0.75 * wanted <= backoff.wait() <= 1.25 * wanted


def test_two_that_begin_together_part() -> None:
    first, second = Backoff(), Backoff()
    assert [first.wait() for _ in range(8)] != [second.wait() for _ in range(8)]


def test_after_a_good_try_waits_begin_anew() -> None:
    backoff = Backoff(first=0.1, longest=10.0)
    for _ in range(6):
        backoff.wait()
    backoff.reset()
    assert backoff.wait() <= 0.125
