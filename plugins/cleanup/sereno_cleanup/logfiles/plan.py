"""Decides, before anything is touched, which files go and why the others stay: a pure function."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal

import msgspec

from sereno_cleanup.age import day_of
from sereno_cleanup.logfiles.entry import LogFile

Reason = Literal[
    "expired",
    "symlink",
    "not_a_file",
    "hard_link",
    "strange_date",
    "open",
    "newest",
    "recent",
    "too_young",
    "other_rule",
]
FEW = 20  # up to so many files the ratio says nothing


class Judged(msgspec.Struct, frozen=True):
    """An entry, its day, and what is to become of it: only ``expired`` goes."""

    entry: LogFile
    day: date
    reason: Reason


class Ceilings(msgspec.Struct, frozen=True):
    """What one rule may delete in one run without a person's word."""

    files: int
    bytes: int
    ratio: float


class Plan(msgspec.Struct, frozen=True):
    """All that a rule matched, judged; `expired`: of these what is to go, the oldest first."""

    judged: tuple[Judged, ...]
    expired: tuple[Judged, ...]

    @classmethod
    def of(cls, judged: Iterable[Judged]) -> "Plan":
        """Make the plan of what was judged."""
        every = tuple(judged)
        going = [one for one in every if one.reason == "expired"]
        going.sort(key=lambda one: (one.day, one.entry.parts))
        return cls(every, tuple(going))

    @property
    def kept(self) -> dict[str, int]:
        """Return how many stay, by reason."""
        reasons = Counter(one.reason for one in self.judged if one.reason != "expired")
        return {reason: reasons[reason] for reason in sorted(reasons)}

    def excess(self, ceilings: Ceilings) -> str | None:
        """Say which ceiling this plan breaks, or None."""
        files = len(self.expired)
        size = sum(one.entry.disk_bytes for one in self.expired)
        if files > ceilings.files:
            return f"{files} files are more than logs_max_files, {ceilings.files}"
        if size > ceilings.bytes:
            return f"{size} bytes are more than logs_max_bytes, {ceilings.bytes}"
        if files > FEW and files > ceilings.ratio * len(self.judged):
            matched = len(self.judged)
            return f"{files} of {matched} files are more than logs_max_ratio, {ceilings.ratio:g}"
        return None


def make_plan(
    entries: Iterable[LogFile],
    *,
    keep_days: int,
    min_keep: int,
    min_age: timedelta,
    now: datetime,
    zone: tzinfo,
    opened: frozenset[tuple[int, int]],
    of_another: Callable[[LogFile], bool] = lambda _: False,
) -> Plan:
    """Judge each entry as of `now`. A file goes when its day is more than `keep_days` before the
    day in `zone`, and its last change at least `min_age` ago; one that is `of_another` rule is left
    to that."""
    judged = []
    today, young = now.astimezone(zone).date(), now - min_age
    for entry in entries:
        day = day_of(entry.name, entry.modified, zone)
        reason = _reason(entry, day, keep_days, today, opened)
        if reason == "expired" and entry.modified > young:
            reason = "too_young"
        if reason == "expired" and of_another(entry):
            reason = "other_rule"
        judged.append(Judged(entry, day, reason))
    dated = [one for one in judged if one.reason in _DATED]
    dated.sort(key=lambda one: (one.day, one.entry.mtime_ns, one.entry.parts), reverse=True)
    newest = {one.entry.parts for one in dated[:min_keep] if one.reason == "expired"}
    return Plan.of(
        Judged(one.entry, one.day, "newest") if one.entry.parts in newest else one for one in judged
    )


_DATED = {"expired", "recent", "open", "too_young"}


def _reason(
    entry: LogFile, day: date, keep_days: int, today: date, opened: frozenset[tuple[int, int]]
) -> Reason:
    if entry.kind != "file":
        return "symlink" if entry.kind == "symlink" else "not_a_file"
    if entry.links != 1:
        return "hard_link"
    if day > today or day.year < 1980:
        return "strange_date"
    if today - day <= timedelta(days=keep_days):
        return "recent"
    return "open" if entry.identity in opened else "expired"
