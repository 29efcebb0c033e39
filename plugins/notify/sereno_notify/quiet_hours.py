"""Quiet hours: from when to when on a clock on the wall nobody wants to be told."""

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from sereno import DeclarationError, TriggerError, find_zone

_TEXT = re.compile(r"(\d\d:\d\d)\s*-\s*(\d\d:\d\d)(?:\s+(\S+))?")


class QuietHours(msgspec.Struct, frozen=True):
    """From `start` (inclusive) to `end`, each day on the clock of `zone`; over midnight where `end`
    is not after `start`."""

    start: time
    end: time
    zone: ZoneInfo

    def over(self, instant: datetime) -> datetime | None:
        """Return when the quiet hours that `instant` (aware) lies in end, None when in none."""
        here = instant.astimezone(self.zone)
        clock = here.time().replace(tzinfo=None)
        if self.start < self.end:
            if not self.start <= clock < self.end:
                return None
            day = here.date()
        elif clock >= self.start:
            day = here.date() + timedelta(days=1)
        elif clock < self.end:
            day = here.date()
        else:
            return None
        return max(datetime.combine(day, self.end, self.zone).astimezone(UTC), instant)


def parse_quiet(text: str) -> QuietHours:
    """Read ``22:00-07:00 Europe/Madrid``; UTC where no zone is named. Raises DeclarationError."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise DeclarationError(
            f"quiet is '{text}', it must be hours and a zone, as '22:00-07:00 Europe/Madrid'"
        )
    try:
        start, end = (time.fromisoformat(part) for part in match.groups()[:2])
        zone = find_zone(match[3] or "UTC")
    except TriggerError as error:
        raise DeclarationError(f"quiet is '{text}': {error}") from error
    except ValueError as error:
        raise DeclarationError(
            f"quiet is '{text}', it must be hours from 00:00 to 23:59 and UTC or an IANA zone"
        ) from error
    if start == end:
        raise DeclarationError(f"quiet is '{text}', it must begin and end at different times")
    return QuietHours(start, end, zone)
