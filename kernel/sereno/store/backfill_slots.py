"""Decides which slots of a span a back-fill is of: the ledger is asked of each, part by part."""

import asyncio
from bisect import bisect_right
from collections import Counter
from datetime import datetime
from itertools import islice

import asyncpg
import msgspec

from sereno.model.errors import NotFoundError
from sereno.model.ledger import ScheduleVersion
from sereno.store.ledger import version_of
from sereno.store.pool import Database
from sereno.triggers.backfill import slots_of_span
from sereno.triggers.instant import MICROSECOND
from sereno.triggers.step_cache import in_passing

_PART = 200
"""Slots that are computed and asked for at once: some milliseconds in which the loop does nothing
else."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Slots of one schedule in [since, until). `missed_only`: those whose verdict is so; `again`:
    also those that ran, unless they run now."""

    schedule_id: int
    since: datetime
    until: datetime
    missed_only: bool = False
    again: bool = False


class ChosenSlot(msgspec.Struct, frozen=True):
    """A slot that is to run, by which version, and what became of it before."""

    slot: datetime
    version: ScheduleVersion
    kind: str


class FoundSlots(msgspec.Struct, kw_only=True):
    """What was found. `place`: slots after it were not looked at, None: there are none."""

    chosen: list[ChosenSlot] = []
    left: Counter[str] = Counter()
    place: datetime | None = None


async def slots_to_fill(
    db: Database, span: Span, after: datetime, *, most: int, looked: int
) -> tuple[asyncpg.Record, FoundSlots]:
    """Return the schedule, and at most `most` slots after `after` that are to run, of `looked` that
    are looked at. Raises NotFoundError where the schedule is gone, and as its trigger does."""
    row = await db.fetchrow("backfill_schedule", span.schedule_id)
    if row is None:
        raise NotFoundError("its schedule was removed")
    versions = [version_of(v) for v in await db.fetch("verify_versions", row["id"])]
    found = FoundSlots(chosen=[], left=Counter())
    last = min(span.until - MICROSECOND, row["now"])
    coming = slots_of_span(versions, row["name"], after, last)
    while looked > 0:
        with in_passing():
            part = list(islice(coming, min(_PART, looked)))
        looked -= len(part)
        if not part:
            found.place = None
            return row, found
        ledger = await _ledger(db, row, part[0][0], part[-1][0])
        for slot, version in part:
            known = _known(row, ledger, slot, version)
            if why := _left(span, known):
                found.left[why] += 1
                continue
            found.chosen.append(ChosenSlot(slot, version, known.verdict))
            if len(found.chosen) == most:
                found.place = slot
                return row, found
        found.place = part[-1][0]
        await asyncio.sleep(0)
    return row, found


class _Known(msgspec.Struct, frozen=True):
    """What the ledger says of a slot. `busy`: a run of it is not over."""

    verdict: str
    busy: bool = False
    filled: bool = False


class _SpanLedger(msgspec.Struct, frozen=True):
    """Slots by instant, and ranges in the order of their first slots."""

    slots: dict[datetime, _Known]
    ranges: list[asyncpg.Record]


async def _ledger(
    db: Database, row: asyncpg.Record, first: datetime, last: datetime
) -> _SpanLedger:
    slots: dict[datetime, _Known] = {}
    ranges = []
    for r in await db.fetch("backfill_ledger", row["ids"], first, last):
        at, busy = r["first_slot"], bool(r["busy"])
        if r["verdict"] == "backfilled":
            before = slots.get(at, _Known("never due"))
            slots[at] = _Known(before.verdict, busy or before.busy, not r["unbegun"])
        elif at == r["last_slot"]:
            slots[at] = _more(slots.get(at), _Known(r["verdict"], busy))
        else:
            ranges.append(r)
    ranges.sort(key=lambda r: r["first_slot"])
    return _SpanLedger(slots, ranges)


def _more(one: _Known | None, other: _Known) -> _Known:
    """Return what two schedules of one name, an older that was removed and this one, say of a
    slot: it ran if it did by either."""
    if one is None or one.verdict not in _RAN:
        return other
    return one


_RAN = frozenset(("ran", "late"))


def _known(
    row: asyncpg.Record, ledger: _SpanLedger, slot: datetime, version: ScheduleVersion
) -> _Known:
    found = ledger.slots.get(slot)
    if found is not None and found.verdict != "never due":
        return found
    n = bisect_right(ledger.ranges, slot, key=lambda r: r["first_slot"]) - 1
    if n >= 0 and slot <= ledger.ranges[n]["last_slot"]:
        ranged = _Known(ledger.ranges[n]["verdict"])
        return ranged if found is None else _Known(ranged.verdict, found.busy, found.filled)
    if found is not None:
        return found
    if slot > row["settled_to"] and version.state in ("active", "paused"):
        return _Known("not settled yet")
    kept_from = row["kept_from"]
    if kept_from is not None and row["created_at"] < slot <= kept_from:
        return _Known("not known any more")
    return _Known("never due")


def _left(span: Span, known: _Known) -> str | None:
    """Return why a slot is left out, None when it is to run."""
    if known.busy or known.verdict == "waiting":
        return "under way"
    if known.verdict == "not settled yet":
        return known.verdict
    if not span.again:
        if known.filled:
            return "filled before"
        if known.verdict in _RAN:
            return "ran"
        if known.verdict == "not known any more":
            return known.verdict
    return "not missed" if span.missed_only and known.verdict != "missed" else None
