"""One single instant."""

from dataclasses import dataclass
from datetime import datetime

from sereno.model.call import explained
from sereno.triggers.arguments import Arguments
from sereno.triggers.instant import format_instant, parse_instant
from sereno.triggers.trigger import Trigger, in_utc


@dataclass(frozen=True, slots=True)
class Once(Trigger):
    """The instant `at`, in UTC."""

    at: datetime

    def next_after(self, instant: datetime) -> datetime | None:
        """Return `at` if it is still to come."""
        if instant.tzinfo is None:
            in_utc(instant)
        return self.at if instant < self.at else None

    @property
    def text(self) -> str:
        """As in ``once 2026-03-01T08:00:00Z``."""
        return f"once {format_instant(self.at)}"


@explained
def once(at: datetime | str, tz: str | None = None) -> Once:
    """Fire at `at` alone; what has no offset is read in the zone `tz`, and refused without one."""
    return Once(parse_instant(at, tz))


def parse_once(arguments: Arguments) -> Once:
    """Read ``once INSTANT [ZONE]``."""
    words = arguments.plain(1, 2)
    arguments.only()
    return once(*words)
