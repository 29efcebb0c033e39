"""What every trigger promises: the first slot after an instant, and a text that says it all."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sereno.model.calendar import Days
from sereno.model.errors import TriggerError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Trigger(ABC):
    """A pure rule of time, equal and hashed by value, safe to share among threads.

    Subclasses are frozen values with slots.
    """

    __slots__ = ()

    @abstractmethod
    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant` (aware), in UTC, or None for none."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The form that `parse` reads back into an equal trigger."""

    @property
    def zone(self) -> str | None:
        """The time zone whose calendar this trigger follows; None for none or several."""
        return None

    def keyed(self, key: str) -> "Trigger":
        """Return this trigger with `key` on every jitter in it that has none."""
        return self

    def put_off(self, instant: datetime) -> dict[datetime, datetime]:
        """Return the slots after `instant` that were due by then, if a jitter had not put them off:
        by the instants at which they were due."""
        return {}

    def brought_forward(self, instant: datetime) -> datetime | None:
        """Return the instant after `instant` at which the last of those slots is due that a jitter
        has had earlier, by then; None for none."""
        return None

    @property
    def calendars(self) -> tuple[str, ...]:
        """The calendars that it names, and whose days it does not know yet."""
        return ()

    def with_days(self, days_of: Callable[[str], Days]) -> "Trigger":
        """Return this trigger with the days of the calendars that it names in their place."""
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


def require_trigger(kind: str, value: object) -> None:
    """Raise TriggerError, in the name of `kind`, unless `value` is a trigger."""
    if not isinstance(value, Trigger):
        raise TriggerError(
            f"trigger {kind!r}: {value!r:.60} is no trigger; build one with cron, every or parse"
        )
