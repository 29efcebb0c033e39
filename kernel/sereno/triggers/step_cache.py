"""Keeps what computing a slot costs: triggers that are due soon, and the last steps of each.

A step of croniter takes 20 to 130 µs, and one of a plugin's trigger may take more. The planner asks
for the slot that is due and for the one after it; who foresees the second beforehand has both at
hand when thousands are due at the same instant. But a trigger and its wall clock take some 2 kB,
and a node has seen every schedule once: it has declared them, or looked ahead. So of a look *in
passing*, at what is due in months, nothing is to stay.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

from sereno.triggers.trigger import Trigger

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PASSING = ContextVar("passing", default=False)
_AT_HAND = 32
"""Results of a look in passing that the next one, at the same schedule or a like one, finds."""


@contextmanager
def in_passing() -> Iterator[None]:
    """Keep nothing of what is computed meanwhile; never held across an await."""
    token = _PASSING.set(True)
    try:
        yield
    finally:
        _PASSING.reset(token)


def kept(size: int) -> Callable[[_Function], _Function]:
    """Keep the last `size` results of a function of hashable values, but few of a look in passing
    and those apart."""

    def decorate(function: _Function) -> _Function:
        lasting, passing = lru_cache(size)(function), lru_cache(_AT_HAND)(function)

        @wraps(function)
        def find(*args: Any) -> Any:
            return passing(*args) if _PASSING.get() else lasting(*args)

        return cast(_Function, find)

    return decorate


class LastSteps:
    """The two newest steps; safe to share among threads, one of which may overwrite another's."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: tuple[tuple[datetime, datetime], ...] = ()

    def find(self, after: datetime) -> datetime | None:
        """Return the answer to `after`, which a step leads past; None if neither does."""
        for start, end in self._steps:
            if start <= after < end:
                return end
        return None

    def add(self, start: datetime, end: datetime) -> None:
        """Keep that `end`, which is later, is the first that is due after `start`."""
        self._steps = ((start, end), *self._steps[:1])


class CachedTrigger(Trigger):
    """`trigger`, with the last two steps of this one schedule."""

    __slots__ = ("_steps", "_trigger")

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._steps = LastSteps()

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant` (aware), in UTC, or None for none."""
        if known := self._steps.find(instant):
            return known
        answer = self._trigger.next_after(instant)
        if answer is not None and answer > instant:
            self._steps.add(instant, answer)
        return answer

    def put_off(self, instant: datetime) -> dict[datetime, datetime]:
        """The trigger's own."""
        return self._trigger.put_off(instant)

    def brought_forward(self, instant: datetime) -> datetime | None:
        """The trigger's own."""
        return self._trigger.brought_forward(instant)

    @property
    def text(self) -> str:
        """The trigger's own."""
        return self._trigger.text

    @property
    def zone(self) -> str | None:
        """The trigger's own."""
        return self._trigger.zone
