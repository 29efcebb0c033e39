"""Reads the instants that people name: ``2026-03-01T08:00``, ``08:00``, ``+10m``."""

from datetime import UTC, datetime, timedelta
from datetime import time as wall_time

import click

from sereno.cli.failure import remark
from sereno.cli.moments import exact
from sereno.model.bounds import FIRST_INSTANT, LAST_INSTANT
from sereno.model.duration import parse_duration

_FORMS = "write it like 2026-03-01T08:00, 2026-03-01T07:00:00Z, 08:00 (today) or +10m (from now)"
_DAY = timedelta(days=1)


def read_instant(text: str, now: datetime) -> datetime:
    """Return the instant, in UTC, that `text` names at `now`.

    Without an offset it is read on this machine's clock: never earlier than that clock shows it,
    and the first time where it shows it twice; both are said on stderr. Raises click.UsageError on
    anything else, and on what not every time zone could show.
    """
    found = _read(text.strip(), now)
    if not FIRST_INSTANT < found < LAST_INSTANT:
        raise click.UsageError(
            f"instant '{text}': it must lie in the years 1 to 9999, a day from either end, so that "
            "every time zone can show it"
        )
    return found


def _read(text: str, now: datetime) -> datetime:
    try:
        if text[:1] in "+-" and text[1:]:
            step = parse_duration(text[1:])
            return now + step if text[0] == "+" else now - step
        try:
            clock = wall_time.fromisoformat(text)
        except ValueError:
            found = datetime.fromisoformat(text)
        else:
            found = datetime.combine(now.astimezone().date(), clock)
        return _here(found, text) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise click.UsageError(f"instant '{text}': it cannot be read; {_FORMS}") from error


def _here(wall: datetime, text: str) -> datetime:
    """Return the first instant at which this machine's clock shows `wall`, or has passed it.

    The clock's rules are the C library's, which knows zones that have no name: of them only the
    offset at an instant can be asked for.
    """
    shown = wall.replace(tzinfo=UTC)
    readings = {shown - _offset(shown - _DAY), shown - _offset(shown + _DAY)}
    exactly = sorted(at for at in readings if at + _offset(at) == shown)
    if not exactly:
        found = _jump(min(readings), max(readings))
        remark(f"{text}: this clock skips it; taken as the first instant after, {exact(found)}")
        return found
    if len(exactly) > 1:
        remark(f"{text}: this clock shows it twice; taken as the first, {exact(exactly[0])}")
    return exactly[0]


def _offset(instant: datetime) -> timedelta:
    return instant.astimezone().utcoffset() or timedelta(0)


def _jump(before: datetime, after: datetime) -> datetime:
    """Return the first instant after `before` with the offset that `after` has."""
    second, offset = timedelta(seconds=1), _offset(after)
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    while after - before > second:
        middle = before + (after - before) // 2 // second * second
        if _offset(middle) == offset:
            after = middle
        else:
            before = middle
    return after
