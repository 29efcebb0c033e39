"""Silence is told once, and counted from an attempt's last word."""

from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest

from sereno.engine.runlog import RunScope
from sereno.engine.stalls import Stalls
from sereno.model.events import RunStalled
from sereno.model.ledger import Claim
from sereno.store.pool import Database
from sereno.testing import FakeClock


class Silent:
    """An attempt that says a word when the test wants it to, and may be silent for ten seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stopped = False
        self._events: list[RunStalled] = []
        told = cast(Any, self._events.append)
        nowhere = cast(Database, None)  # only what is written asks for it
        self.stalls = Stalls(nowhere, FakeClock(), told, lambda: self.seconds)
        claim = Claim(run_id=7, job="t.silent", attempt=1, token=uuid4(), params={}, policies={})
        self.token = claim.token
        self.scope = RunScope(job=claim.job, run_id=7, attempt=1, token=claim.token)
        self.stalls.watch(claim, self.scope, timedelta(seconds=10), lambda: self.stopped)

    def look(self, at: float, *, says: bool = False) -> list[bool]:
        """Look at this second; return what was told: whether it is over."""
        self.seconds = at
        self.scope.said += says
        self._events.clear()
        self.stalls.poll()
        return [event.resolved for event in self._events]


def test_it_is_told_once_from_the_last_word_on_and_again_after_another() -> None:
    one = Silent()
    assert [one.look(at, says=True) for at in (4, 8, 12, 16)] == [[]] * 4
    assert one.look(25.9) == []
    assert one.look(26) == [False]
    assert [one.look(at) for at in (27, 40, 100)] == [[]] * 3
    assert one.look(101, says=True) == [True]
    assert one.look(110.9) == []
    assert one.look(111) == [False]


@pytest.mark.parametrize("stopped", [True, False])
def test_what_was_told_to_stop_is_not_listened_to(stopped: bool) -> None:
    one = Silent()
    one.stopped = stopped
    assert one.look(11) == ([] if stopped else [False])


def test_what_is_over_is_not_told() -> None:
    one = Silent()
    one.stalls.forget(one.token)
    assert one.look(11) == []
