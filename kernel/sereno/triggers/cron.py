"""Cron expressions in a time zone, and what becomes of times that the clock skips or repeats.

By default as Debian's cron has it. An expression whose minute or hour (or second) starts with ``*``
follows real time: nothing for the skipped part, both passes of the repeated part. Any other names
fixed times: a skipped one runs once, at the first instant after the gap; a repeated one once, the
first time. A gap of more than three hours is a change of calendar, whose times are dropped.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from sereno.model.call import explained
from sereno.model.errors import TriggerError
from sereno.model.zone import default_zone, find_zone, iana_names
from sereno.triggers.arguments import Arguments
from sereno.triggers.expression import canonical, is_field
from sereno.triggers.refusal import refuse_foreign
from sereno.triggers.step_cache import in_passing
from sereno.triggers.trigger import Trigger, in_utc
from sereno.triggers.wall_clock import WallClock, wall_clock
from sereno.triggers.zone import SECOND, jump, readings, zone_name

Gap = Literal["debian", "run", "skip"]
Fold = Literal["debian", "first", "last", "both"]

CALENDAR_CHANGE = timedelta(hours=3)
HORIZON = timedelta(days=50 * 366)  # as far as croniter looks
PRESENT = datetime(
    2026, 1, 1, tzinfo=UTC
)  # zones once had other rules: what fired then may never fire


@dataclass(frozen=True, slots=True)
class Cron(Trigger):
    """The instants at which a wall clock in `tz` matches `expression`. Build it with `cron`."""

    expression: str
    tz: str
    gap: Gap
    fold: Fold

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant`, or None if 50 years have none."""
        after = in_utc(instant)
        clock = wall_clock(self.expression)
        try:
            if self.tz == "UTC":
                found = clock.next_after(after.replace(tzinfo=None))
                return None if found is None else found.replace(tzinfo=UTC)
            return self._next_in_zone(after, clock, find_zone(self.tz))
        except OverflowError:  # the end of the calendar
            return None

    @property
    def text(self) -> str:
        """As in ``cron 30 2 * * * Europe/Madrid gap=skip``."""
        gap = "" if self.gap == "debian" else f" gap={self.gap}"
        fold = "" if self.fold == "debian" else f" fold={self.fold}"
        return f"cron {self.expression} {self.tz}{gap}{fold}"

    @property
    def zone(self) -> str:
        """The zone of the wall clock."""
        return self.tz

    def _next_in_zone(self, after: datetime, clock: WallClock, zone: ZoneInfo) -> datetime | None:
        fold = self._fold(clock)
        wall, again = self._start(after, zone, fold)
        found = clock.next_after(wall)
        if again is not None and (found is None or found >= again[1]):
            found = clock.next_after(again[0] - SECOND)  # the first pass is over, the second begins
        while found is not None and found.replace(tzinfo=UTC) - after < HORIZON:
            first, second = readings(zone, found)
            if first <= second:
                return second if fold == "last" or first <= after else first
            if self._runs_after(first - second, clock):
                return jump(zone, second, first)
            found = clock.next_after(_gap_end(zone, first, second) - SECOND)
        return None

    def _start(
        self, after: datetime, zone: ZoneInfo, fold: Fold
    ) -> tuple[datetime, tuple[datetime, datetime] | None]:
        """Return the wall time to go on from, and the repeated span to take again after it."""
        here = after.astimezone(zone)
        wall = here.replace(tzinfo=None, fold=0)
        first, second = readings(zone, wall)
        if first == second:
            return wall, None
        edge = jump(zone, first, second)
        begin = edge.astimezone(zone).replace(tzinfo=None, fold=0)
        end = begin + (second - first)
        if here.fold:
            return (end - SECOND if fold == "first" else wall), None
        if fold == "last":
            return begin - SECOND, None
        return wall, (begin, end) if fold == "both" else None

    def _fold(self, clock: WallClock) -> Fold:
        if self.fold == "debian":
            return "both" if clock.follows_real_time else "first"
        return self.fold

    def _runs_after(self, gap: timedelta, clock: WallClock) -> bool:
        if self.gap == "debian":
            return not clock.follows_real_time and gap <= CALENDAR_CHANGE
        return self.gap == "run"


@explained
def cron(
    expression: str, tz: str | ZoneInfo | None = None, *, gap: Gap = "debian", fold: Fold = "debian"
) -> Cron:
    """Fire when a wall clock in `tz` matches `expression`.

    `tz`: by default that of the settings, `timezone`. Five fields, six with the second first,
    or a macro such as ``@daily``; at most 512 characters. `gap` says what becomes of times that
    the clock skips: ``run`` them once, when it has jumped, or ``skip`` them. `fold` says which
    pass of a repeated time counts: ``first``, ``last``, ``both``. ``debian`` is Debian's rule
    (see the module). Raises TriggerError on what cron cannot mean, and on what would never
    fire.
    """
    try:
        return _declared(
            canonical(expression), zone_name(default_zone() if tz is None else tz), gap, fold
        )
    except TriggerError:
        _refuse_zone(expression)
        refuse_foreign("cron expression", expression)
        raise


@lru_cache(maxsize=4096)
def _declared(expression: str, tz: str, gap: Gap, fold: Fold) -> Cron:
    for name, value, allowed in (("gap", gap, get_args(Gap)), ("fold", fold, get_args(Fold))):
        if value not in allowed:
            raise TriggerError(
                f"cron expression {expression!r:.80}: {name} is {value!r}, it must be one of "
                f"{', '.join(allowed)}"
            )
    trigger = Cron(sys.intern(expression), sys.intern(tz), gap, fold)
    with in_passing():
        first = trigger.next_after(PRESENT)
    if first is None:
        raise TriggerError(
            f"cron expression {expression!r:.80}: it never fires; no time of the calendar in {tz} "
            "matches it"
        )
    return trigger


def parse_cron(arguments: Arguments) -> Cron:
    """Read ``cron FIELDS [ZONE] [gap=...] [fold=...]``."""
    words = list(arguments.plain(at_least=1))
    options = arguments.only("tz", "gap", "fold")
    if "tz" not in options and len(words) > 1 and _ends_in_zone(words):
        options["tz"] = words.pop()
    return cron(" ".join(words), **options)  # type: ignore[arg-type] # checked when declared


def _ends_in_zone(words: list[str]) -> bool:
    """Say whether the last of `words` is meant as a zone, which its name may be a mistake in."""
    if words[0].startswith("@") or words[-1] in iana_names():
        return True
    return len(words) > 5 and not is_field(words[-1])


def _refuse_zone(expression: object) -> None:
    fields = expression.split() if isinstance(expression, str) else []
    if len(fields) > 1 and fields[-1] in iana_names():
        rest, zone = " ".join(fields[:-1]), fields[-1]
        raise TriggerError(
            f"cron expression {expression!r:.80}: the zone is no part of the expression; write "
            f"cron('{rest:.60}', tz='{zone}')"
        ) from None


def _gap_end(zone: ZoneInfo, first: datetime, second: datetime) -> datetime:
    return jump(zone, second, first).astimezone(zone).replace(tzinfo=None, fold=0)
