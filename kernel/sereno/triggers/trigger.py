"""What every trigger promises: the first slot after an instant, and a text that says it all."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self

from sereno.model.errors import TriggerError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Trigger(ABC):
    """A pure rule of time, equal and hashed by value, safe to share among threads.

    Subclasses are frozen values with slots.
    """

    __slots__ = ()

    @abstractmethod
    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant` (aware), in UTC, or None when there is none."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The form that `parse` reads back into an equal trigger."""

    @property
    def zone(self) -> str:
        """The time zone whose calendar this trigger follows; UTC when it follows none."""
        return "UTC"

    def keyed(self, key: str) -> Self:
        """Return this trigger with `key` on every jitter in it that has none."""
        return self

    def slots(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """Yield the slots in (after, until], in order; for ever if `until` is None."""
        slot = self.next_after(after)
        while slot is not None and (until is None or slot <= until):
            yield slot
            slot = self.next_after(slot)

    def __str__(self) -> str:
        return self.text


def in_utc(instant: datetime) -> datetime:
    """Return `instant` in UTC; a naive one raises TriggerError."""
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise TriggerError(
            f"instant {instant}: it has no time zone; pass an aware datetime, as in UTC"
        )
    return instant.astimezone(UTC)
