"""Counts the slots of many schedules by the minute in which they are due, in the order of time."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from sereno.model.errors import TriggerError
from sereno.triggers.guard import read
from sereno.triggers.instant import MICROSECOND
from sereno.triggers.jitter import jitter
from sereno.triggers.trigger import Trigger


class Alike(msgspec.Struct, frozen=True, kw_only=True):
    """Schedules that are due at the same instants. `jobs`: how many of them are of which; `name`:
    of the only one where there is jitter, empty otherwise."""

    trigger: str
    jobs: Mapping[str, int]
    jitter: timedelta | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    name: str = ""


class DueMinute(msgspec.Struct, frozen=True, kw_only=True):
    """A minute in which slots are due. `jobs`: how many of which, the most first."""

    minute: datetime
    slots: int
    jobs: tuple[tuple[str, int], ...]


class ComingLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The slots due after `since`, by minutes that have any, to `until`: earlier than was asked
    for where enough had been looked at. `unread`: triggers that could not be read, or went on no
    more."""

    since: datetime
    until: datetime
    minutes: tuple[DueMinute, ...]
    unread: int = 0


class _SlotWalk:
    """Where the slots of schedules that are alike have come to."""

    def __init__(self, alike: Alike) -> None:
        trigger = read(alike.trigger, alike.name)
        spread = alike.jitter
        self._trigger: Trigger = (
            trigger if spread is None else jitter(trigger, spread, key=alike.name)
        )
        self._ends_at = alike.ends_at
        self.jobs = Counter(alike.jobs)

    def next(self, after: datetime) -> datetime | None:
        slot = self._trigger.next_after(after)
        if slot is None or (self._ends_at is not None and slot >= self._ends_at):
            return None
        return slot


def coming_load(
    schedules: Iterable[Alike], since: datetime, until: datetime, *, most: int
) -> ComingLoad:
    """Return the load of (`since`, `until`], as far as `most` steps of triggers go."""
    waiting: list[tuple[datetime, int]] = []
    walks: list[_SlotWalk] = []
    unread = 0
    for alike in schedules:
        try:
            walk = _SlotWalk(alike)
            first = walk.next(max(since, (alike.starts_at or since) - MICROSECOND))
        except TriggerError:
            unread += 1
            continue
        if first is not None and first <= until:
            waiting.append((first, len(walks)))
            walks.append(walk)
    heapq.heapify(waiting)
    due: dict[datetime, Counter[str]] = {}
    for _ in range(most):
        if not waiting:
            break
        slot, n = waiting[0]
        due.setdefault(slot.replace(second=0, microsecond=0), Counter()).update(walks[n].jobs)
        try:
            after = walks[n].next(slot)
        except TriggerError:
            unread, after = unread + 1, None
        if after is None or after <= slot or after > until:
            heapq.heappop(waiting)
        else:
            heapq.heapreplace(waiting, (after, n))
    reached = until
    if waiting:  # the minute in which it ends is not whole
        reached = waiting[0][0].replace(second=0, microsecond=0)
        due.pop(reached, None)
    minutes = tuple(
        DueMinute(minute=at, slots=jobs.total(), jobs=tuple(jobs.most_common()))
        for at, jobs in sorted(due.items())
    )
    return ComingLoad(since=since, until=reached, minutes=minutes, unread=unread)
