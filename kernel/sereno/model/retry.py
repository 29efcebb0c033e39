"""When a failed attempt is tried again: a pure rule."""

import math
import random
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import force_setattr

from sereno.model.call import explained
from sereno.model.duration import parse_duration
from sereno.model.error_names import (
    Errors,
    error_names,
    is_never_mended,
    is_one_of,
    members,
)
from sereno.model.errors import DeclarationError, TriggerError

_LONGEST = timedelta(days=366)


class Tries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exponential back-off over at most `attempts` tries, the first one too.

    The wait after attempt n is ``delay * factor**(n-1)``, at most `max_delay`, then spread by
    ``±jitter`` (a share, 0 to 1).
    """

    attempts: int = 1
    delay: timedelta = timedelta(seconds=10)
    factor: float = 2.0
    max_delay: timedelta = timedelta(hours=1)
    jitter: float = 0.1

    def __post_init__(self) -> None:
        for name in ("delay", "max_delay"):  # as people write them, and so in `retry`
            force_setattr(self, name, _duration(name, getattr(self, name)))
        for name, kind in (("attempts", int), ("factor", float), ("jitter", float)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | kind):
                wanted = "a whole number" if kind is int else "a number"
                raise DeclarationError(f"retry: {name} is {value!r:.80}, it must be {wanted}")
        if self.attempts < 1:
            raise DeclarationError(f"retry: attempts is {self.attempts}, it must be at least 1")
        if not 1 <= self.factor <= 1000:
            raise DeclarationError(f"retry: factor is {self.factor}, it must be from 1 to 1000")
        if not 0 <= self.jitter <= 1:
            raise DeclarationError(f"retry: jitter is {self.jitter}, it is a share from 0 to 1")
        for name, value in (("delay", self.delay), ("max_delay", self.max_delay)):
            if not timedelta(0) <= value <= _LONGEST:
                raise DeclarationError(f"retry: {name} is {value}, it must be from 0s to 366d")

    def wait(self, attempt: int, chance: float) -> timedelta | None:
        """Return how long to wait after `attempt` (from 1) failed, None when it was the last.

        `chance`: a number in [0, 1) that decides the jitter.
        """
        if attempt >= self.attempts:
            return None
        seconds = min(self._grown(attempt - 1), self.max_delay.total_seconds())
        return timedelta(seconds=seconds * (1 + self.jitter * (2 * chance - 1)))

    def _grown(self, times: int) -> float:
        delay = self.delay.total_seconds()
        try:
            return delay * self.factor**times
        except OverflowError:  # past 1e308 seconds only max_delay rules
            return math.inf if delay else 0.0


class Retry(Tries, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When, and after which errors, a run is tried again.

    `on`: errors after which there is another attempt, by default all. `final`: errors after which
    there is none; it wins over `on`. Each is a class, its name, or several of both; a subclass
    counts. Kept as names; left out of JSON where nobody says them, as older versions know neither.
    """

    on: Any = UNSET
    final: Any = UNSET

    def __post_init__(self) -> None:
        Tries.__post_init__(self)
        if self.on is not UNSET:
            force_setattr(self, "on", error_names("on", self.on) or UNSET)
        if self.final is not UNSET:
            force_setattr(self, "final", error_names("final", self.final) or UNSET)

    def is_final(self, error: BaseException) -> bool:
        """Return whether no attempt follows one that ended with `error`, however many are left.

        A group, as a TaskGroup raises, is final as soon as one of its members is, and is one of
        `on` when all its members are.
        """
        found = [*members(error)]
        if any(is_never_mended(one) for one in found):
            return True
        final, on = self.final, self.on
        if final is not UNSET and any(is_one_of(one, final) for one in [error, *found]):
            return True
        if on is UNSET or is_one_of(error, on):
            return False
        return not all(is_one_of(one, on) for one in found)


def _duration(name: str, value: object) -> timedelta:
    if isinstance(value, str | int | float | timedelta):
        try:
            return value if isinstance(value, timedelta) else parse_duration(value)
        except TriggerError as error:
            raise DeclarationError(f"retry: {name}: {error}") from error
    raise DeclarationError(f"retry: {name} is {value!r:.80}, it must be a duration, as '10s'")


@explained
def retry(
    attempts: int,
    delay: str | float | timedelta = "10s",
    factor: float = 2.0,
    max_delay: str | float | timedelta = "1h",
    jitter: float = 0.1,
    *,
    on: Errors | UnsetType = UNSET,
    final: Errors | UnsetType = UNSET,
) -> Retry:
    """Build a `Retry` of so many attempts, the first one too.

    Durations as people write them ("10s", "5m", seconds, timedelta), errors as classes or names.
    """
    return Retry(
        attempts=attempts,
        delay=_duration("delay", delay),
        factor=factor,
        max_delay=_duration("max_delay", max_delay),
        jitter=jitter,
        on=on,
        final=final,
    )


def chance() -> float:
    """Return the random share that `Retry.wait` wants."""
    return random.random()  # noqa: S311 - spreads load, keeps no secret
