"""What triggers do at a change of the clock, and how calendars are said: reckoned by them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from sereno import Trigger, parse

_ZONE = ZoneInfo("Europe/Madrid")
_SPRING = datetime(2026, 3, 29, tzinfo=_ZONE)
_AUTUMN = datetime(2026, 10, 25, tzinfo=_ZONE)

CHANGED = (
    ("cron 30 2 * * * Europe/Madrid", 0, 5),
    ("cron 30 2 * * * Europe/Madrid gap=skip", 0, 5),
    ("cron 30 2 * * * Europe/Madrid fold=last", 0, 5),
    ("cron 30 2 * * * Europe/Madrid fold=both", 0, 5),
    ("cron 0 3 * * * Europe/Madrid", 0, 5),
    ("cron 30 1-3 * * * Europe/Madrid", 0, 5),
    ("cron 30 * * * * Europe/Madrid", 1, 5),
    ("cron */30 2 * * * Europe/Madrid", 1, 5),
    ("cron 0 30 2 * * * Europe/Madrid", 0, 5),
    ("every 1h", 1, 5),
)
"""Texts, and the hours of the night in Madrid to look at."""

WAYS = (
    ("working days at eight", "cron 0 8 * * MON-FRI Europe/Madrid"),
    ("the last day of the month", "cron 0 23 L * * Europe/Madrid"),
    ("the last Friday of the month", "cron 0 18 * * 5L Europe/Madrid"),
    ("each quarter", "cron 0 6 1 1,4,7,10 * Europe/Madrid"),
    ("every 15 minutes of the working day", "cron */15 8-17 * * MON-FRI Europe/Madrid"),
    ("every ten seconds", "cron */10 * * * * * UTC"),
    ("every second Monday, fixed in UTC", "every 14d anchor=2026-01-05T07:00:00Z"),
    (
        "every second Monday, at eight whatever the season",
        "except_on (cron 0 8 * * MON Europe/Madrid) (every 14d anchor=2026-01-12T00:00:00+01:00)",
    ),
    (
        "working days, but not on holidays",
        "except_on (cron 0 8 * * MON-FRI Europe/Madrid) 2026-03-19 2026-04-03 tz=Europe/Madrid",
    ),
    (
        "on certain days alone",
        "only_on (cron 0 9 * * * Europe/Madrid) 2026-03-31 2026-06-30 tz=Europe/Madrid",
    ),
    (
        "at two times that no one expression has",
        "any_of (cron 0 8 * * * UTC) (cron 30 13 * * * UTC)",
    ),
    ("in a season", "within (every 6h) start=2026-06-01T00:00:00Z end=2026-09-01T00:00:00Z"),
)
"""What people want to say, and how it is said."""


def clock_changes() -> str:
    """Return what each has due in the two nights of 2026 in which Madrid's clock changes."""
    rows = [
        "| trigger | 29 March: 02:00 to 02:59 is skipped | 25 October: 02:00 to 02:59 comes twice |"
    ]
    rows.append("|---|---|---|")
    for text, first, last in CHANGED:
        trigger = parse(text)
        nights = [_night(trigger, day, first, last) for day in (_SPRING, _AUTUMN)]
        rows.append(f"| `{text}` | {nights[0]} | {nights[1]} |")
    return "\n".join(rows)


def ways() -> str:
    """Return each with its next three slots after the first of March 2026."""
    rows = ["| wanted | said | slots from 1 March 2026 on |", "|---|---|---|"]
    for wanted, text in WAYS:
        coming = islice(_slots(parse(text), datetime(2026, 3, 1, tzinfo=UTC)), 3)
        zone = _ZONE if "Madrid" in text else UTC
        told = ", ".join(f"{slot.astimezone(zone):%a %d %b %H:%M}" for slot in coming)
        if text.startswith("cron */10 * * * * *"):
            told = "each minute at :00, :10, :20, :30, :40, :50"
        rows.append(f"| {wanted} | `{text}` | {told} |")
    return "\n".join(rows)


def _night(trigger: Trigger, day: datetime, first: int, last: int) -> str:
    begin = (day + timedelta(hours=first)).astimezone(UTC)
    end = (day + timedelta(hours=last)).astimezone(UTC)
    told = []
    for slot in _slots(trigger, begin - timedelta(seconds=1)):
        if slot >= end:
            break
        local = slot.astimezone(_ZONE)
        told.append(f"{local:%H:%M}{_mark(local, day)}")
    return ", ".join(told) or "none"


def _mark(local: datetime, day: datetime) -> str:
    """Return which of two equal times it is."""
    if day != _AUTUMN or local.hour != 2:
        return ""
    return " (second)" if local.fold else " (first)"


def _slots(trigger: Trigger, instant: datetime) -> Iterator[datetime]:
    found = trigger.next_after(instant)
    while found is not None:
        yield found
        found = trigger.next_after(found)
