"""A leader believes in itself for less time than the server gives it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.engine.trust import MARGIN, Trust

SETTLED = settings(derandomize=True, deadline=None, database=None)


def test_nobody_trusts_itself_before_its_first_heartbeat() -> None:
    assert not Trust(5.0).holds(0.0)


def test_trust_ends_before_the_lease_counted_from_when_the_heartbeat_was_sent() -> None:
    trust = Trust(5.0)
    trust.begin(sent=100.0)
    assert trust.holds(100.0 + 5.0 * (1 - MARGIN) - 0.001)
    assert not trust.holds(100.0 + 5.0 * (1 - MARGIN))


def test_trust_that_was_given_up_does_not_come_back_by_itself() -> None:
    trust = Trust(5.0)
    trust.begin(sent=100.0)
    trust.end()
    assert not trust.holds(100.0)


def test_an_answer_that_comes_after_the_end_brings_no_trust_back() -> None:
    """As when the watchdog cut the session while the answer was on its way."""
    trust = Trust(5.0)
    trust.begin(sent=100.0)
    trust.end()
    trust.extend(sent=101.0)
    assert not trust.holds(101.0)
    trust.begin(sent=102.0)
    assert trust.holds(102.0)


@SETTLED
@given(
    st.floats(0.5, 60),
    st.lists(st.tuples(st.floats(0, 30), st.floats(0, 3)), min_size=1),
    st.floats(0, 100),
)
def test_it_never_outlives_the_server_s_lease_in_whatever_order_answers_come(
    lease: float, beats: list[tuple[float, float]], after: float
) -> None:
    """The server counts from when it heard us: never before we sent."""
    trust, now, heard = Trust(lease), 0.0, 0.0
    trust.begin(sent=now)
    for pause, trip in beats:
        sent = now + pause
        heard = max(heard, sent)
        now = sent + trip
        trust.extend(sent)
    if trust.holds(now + after):
        assert now + after < heard + lease
