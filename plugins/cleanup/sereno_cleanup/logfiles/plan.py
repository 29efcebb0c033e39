"""Decides, before anything is touched, which files go and why the others stay: a pure function."""

from collections.abc import Iterable
from datetime import date, timedelta, tzinfo
from typing import Literal

import msgspec

from sereno_cleanup.logfiles.age import day_of
from sereno_cleanup.logfiles.entry import Entry

Reason = Literal[
    "expired", "symlink", "not_a_file", "hard_link", "strange_date", "open", "newest", "recent"
]
FEW = 20  # up to so many files the ratio says nothing


class Judged(msgspec.Struct, frozen=True):
    """An entry, its day, and what is to become of it: only ``expired`` goes."""

    entry: Entry
    day: date
    reason: Reason


class Ceilings(msgspec.Struct, frozen=True):
    """What one rule may delete in one run without a person's word."""

    files: int
    bytes: int
    ratio: float


class Plan(msgspec.Struct, frozen=True):
    """All that a rule matched, judged."""

    judged: tuple[Judged, ...]

    @property
    def expired(self) -> list[Judged]:
        """Return what is to go, the oldest first."""
        found = [one for one in self.judged if one.reason == "expired"]
        return sorted(found, key=lambda one: (one.day, one.entry.parts))

    @property
    def kept(self) -> dict[str, int]:
        """Return how many stay, by reason."""
        reasons = [one.reason for one in self.judged if one.reason != "expired"]
        return {reason: reasons.count(reason) for reason in sorted(set(reasons))}

    def excess(self, ceilings: Ceilings) -> str | None:
        """Say which ceiling this plan breaks, or None."""
        files = len(self.expired)
        size = sum(one.entry.size for one in self.expired)
        if files > ceilings.files:
            return f"{files} files are more than logs_max_files, {ceilings.files}"
        if size > ceilings.bytes:
            return f"{size} bytes are more than logs_max_bytes, {ceilings.bytes}"
        if files > FEW and files > ceilings.ratio * len(self.judged):
            matched = len(self.judged)
            return f"{files} of {matched} files are more than logs_max_ratio, {ceilings.ratio:g}"
        return None


def make_plan(
    entries: Iterable[Entry],
    *,
    keep_days: int,
    min_keep: int,
    today: date,
    zone: tzinfo,
    opened: frozenset[tuple[int, int]],
) -> Plan:
    """Judge each entry. A file goes when its day is more than `keep_days` before `today`."""
    judged = []
    for entry in entries:
        day = day_of(entry.name, entry.modified, zone)
        judged.append(Judged(entry, day, _reason(entry, day, keep_days, today, opened)))
    dated = [one for one in judged if one.reason in {"expired", "recent", "open"}]
    dated.sort(key=lambda one: (one.day, one.entry.mtime_ns, one.entry.parts), reverse=True)
    newest = {one.entry.parts for one in dated[:min_keep] if one.reason == "expired"}
    return Plan(
        tuple(
            Judged(one.entry, one.day, "newest") if one.entry.parts in newest else one
            for one in judged
        )
    )


def _reason(
    entry: Entry, day: date, keep_days: int, today: date, opened: frozenset[tuple[int, int]]
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
