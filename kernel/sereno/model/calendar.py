"""Calendars: named sets of days that schedules share, and blackouts: spans in which none runs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from sereno.model.errors import DeclarationError
from sereno.model.text import visible_line

MAX_DAYS = 2_000
MAX_RANGE = 400
FIRST_YEAR, LAST_YEAR = 2020, 2069
"""The years of which days that go by Easter are known: fixed, so that no year that passes makes
another version of a schedule."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_YEARLY = re.compile(r"(\d\d)-(\d\d)")
_EASTER = re.compile(r"easter(?:([+-])(\d{1,3}))?")
_RULE = (
    "write it as 2026-12-25, 2026-12-24..2027-01-06, 12-25 (each year), easter-2 (days from Easter "
    "Sunday) or sat"
)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """The days of a calendar. `yearly`: month and day; `weekdays`: 0 is Monday."""

    dates: frozenset[date] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()
    weekdays: frozenset[int] = frozenset()

    def __contains__(self, day: date) -> bool:
        return (
            day in self.dates
            or (day.month, day.day) in self.yearly
            or day.weekday() in self.weekdays
        )

    def joined(self, other: "Days") -> "Days":
        """Return the days of both."""
        return Days(
            dates=self.dates | other.dates,
            yearly=self.yearly | other.yearly,
            weekdays=self.weekdays | other.weekdays,
        )


class Blackout(msgspec.Struct, frozen=True, kw_only=True):
    """A span, `starts_at` <= slot < `ends_at`, in which schedules like `pattern` do not run.

    `jobs`: of a plugin, where it is that plugin's; else None.
    """

    id: int
    pattern: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    jobs: tuple[str, ...] | None = None

    def holds(self, schedule: str, job: str) -> bool:
        """Tell whether the schedule is meant."""
        if self.jobs is not None:
            return job in self.jobs
        return fnmatchcase(schedule, self.pattern) or fnmatchcase(job, self.pattern)

    @property
    def verdict_reason(self) -> str:
        """Return the reason of the slots that fall into it."""
        return f"blackout: {self.reason}"


class SharedPlans(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of calendars, by name their days, and of blackouts."""

    calendars: Mapping[str, tuple[str, ...]] = {}
    blackouts: Mapping[str, Any] = {}


def on_days(trigger: str, except_on: Iterable[str], only_on: Iterable[str], tz: str) -> str:
    """Return the text of a trigger on the days of these calendars, which are those of zone `tz`."""
    for kind, names in (("only_on", tuple(only_on)), ("except_on", tuple(except_on))):
        if names:
            trigger = f"{kind} ({trigger}) calendar={','.join(names)} tz={tz}"
    return trigger


def checked_calendars(names: object, what: str, subject: str) -> tuple[str, ...]:
    """Return the names of calendars, one or several; raises DeclarationError."""
    given = (names,) if isinstance(names, str) else names
    if not isinstance(given, Iterable):
        raise DeclarationError(f"{subject}: {what} is {names!r:.80}, it must name calendars")
    return tuple(dict.fromkeys(check_calendar_name(n, f"{subject}: {what}") for n in given))


def check_calendar_name(name: object, subject: str = "calendar") -> str:
    """Return `name`; raises DeclarationError where it is none of a calendar."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{subject} {name!r:.80}: its name is small letters, digits and _, as 'festivos_madrid'"
        )
    return name


def checked_days(entries: object, subject: str) -> tuple[str, ...]:
    """Return what a calendar's days are written by, each once; raises DeclarationError."""
    if isinstance(entries, str) or not isinstance(entries, Iterable):
        raise DeclarationError(f"{subject}: days are {entries!r:.80}, they must be a list of texts")
    found = dict.fromkeys(_entry(each, subject) for each in entries)
    if not found:
        raise DeclarationError(f"{subject}: it has no day; {_RULE}")
    if len(found) > MAX_DAYS:
        raise DeclarationError(f"{subject}: {len(found)} days are more than {MAX_DAYS}")
    read_days(found, subject)
    return tuple(found)


def read_days(entries: Iterable[str], subject: str = "calendar") -> Days:
    """Return the days that `entries` say; raises DeclarationError."""
    dates: set[date] = set()
    yearly: set[tuple[int, int]] = set()
    weekdays: set[int] = set()
    for entry in entries:
        if entry in WEEKDAYS:
            weekdays.add(WEEKDAYS.index(entry))
        elif match := _YEARLY.fullmatch(entry):
            yearly.add((int(match[1]), int(match[2])))
            _date(f"2000-{entry}", entry, subject)
        elif match := _EASTER.fullmatch(entry):
            off = timedelta(days=int(match[2] or 0) * (-1 if match[1] == "-" else 1))
            dates |= {easter(year) + off for year in range(FIRST_YEAR, LAST_YEAR + 1)}
        else:
            dates |= set(_range(entry, subject))
    return Days(dates=frozenset(dates), yearly=frozenset(yearly), weekdays=frozenset(weekdays))


def easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, Jones and Butcher's rule)."""
    century, rest = divmod(year, 100)
    skipped, lunar = century // 4, (century - (century + 8) // 25 + 1) // 3
    epact = (19 * (year % 19) + century - skipped - lunar + 15) % 30
    week = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (year % 19 + 11 * epact + 22 * week) // 451
    month, day = divmod(epact + week - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _entry(entry: object, subject: str) -> str:
    if isinstance(entry, date) and not isinstance(entry, datetime):
        return entry.isoformat()
    if not isinstance(entry, str) or visible_line(entry) != entry:
        raise DeclarationError(f"{subject}: {entry!r:.80} is no day; {_RULE}")
    return entry.strip().lower()


def _range(entry: str, subject: str) -> Iterator[date]:
    first, dots, last = entry.partition("..")
    begin = _date(first, entry, subject)
    end = _date(last, entry, subject) if dots else begin
    if not begin <= end <= begin + timedelta(days=min(MAX_RANGE, (date.max - begin).days)):
        raise DeclarationError(
            f"{subject}: {entry!r:.80} must end after it begins, within {MAX_RANGE} days"
        )
    for n in range((end - begin).days + 1):
        yield begin + timedelta(days=n)


def _date(text: str, entry: str, subject: str) -> date:
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise DeclarationError(f"{subject}: {entry!r:.80} is no day; {_RULE}") from None
