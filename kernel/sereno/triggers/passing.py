"""Tells computing what is due soon, whose triggers stay at hand, from a look in passing.

A trigger and its wall clock take some 2 kB, and a node has seen every schedule once: it has
declared them, or looked ahead. Of those that are due in months nothing is to stay.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

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
