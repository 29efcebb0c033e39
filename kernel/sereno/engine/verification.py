"""Proves that every slot got one verdict: recomputes what was due and holds the ledger against it.

What was due follows from the versions of each schedule, which are kept; the ledger must name each
slot once, in a row of its own or within a range, and nothing else; a slot that ran, or waits, must
have its run, unless history has been pruned, and that run must have begun, or wait.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from sereno.model.bounds import FIRST_INSTANT
from sereno.model.errors import SerenoError
from sereno.model.ledger import ScheduleVersion
from sereno.store.ledger import version_of
from sereno.store.numbers import EndingNumbers, ending_numbers
from sereno.store.pool import Connection, Database, Record
from sereno.store.sql import sql
from sereno.store.timeline import Timeline
from sereno.store.timeline import since as timelines_since
from sereno.triggers.occurrences import spans, trigger_of
from sereno.triggers.succession import dropped

MAX_FAULTS = 1_000
_PREFETCH = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One slot whose account is wrong. `kind`: ``lost``, ``doubled``, ``unexpected``, ``run
    missing``, ``untrue``: its run tells otherwise; ``unreadable``: a schedule that cannot be
    held against anything; or ``fan-out`` or ``part``: in the place of its schedule and slot stand
    which it is and when it was made."""

    kind: str
    schedule: str
    slot: datetime
    detail: str


@dataclass(slots=True, kw_only=True)
class Account:
    """What `verify` found. `verdicts`: slots by verdict; `unsettled`: due by now, no leader has
    come by; `backfilled`: slots that had a run beside their verdict since then, due or not;
    `parts`: of runs whose jobs work at each host or node;
    `timelines`: the times at which the database went back to an older state, the newest first:
    nobody can tell what it has forgotten; `numbers`: those that come to their end."""

    since: datetime
    until: datetime
    schedules: int = 0
    slots: int = 0
    unsettled: int = 0
    backfilled: int = 0
    fan_outs: int = 0
    parts: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    numbers: list[EndingNumbers] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Return whether every slot has exactly one verdict."""
        return not self.counts

    def fault(self, kind: str, schedule: str, slot: datetime, detail: str) -> None:
        """Note a fault; only so many are kept, all are counted."""
        self.counts[kind] += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(kind=kind, schedule=schedule, slot=slot, detail=detail))


async def verify(db: Database, since: timedelta) -> Account:
    """Hold the ledger of the last `since` against what was due; one snapshot of the database."""
    async with db.snapshot() as connection:
        rows = await connection.fetch(sql("verify_schedules"))
        now = await connection.fetchval(sql("database_now"))
        start = now - min(since, now - FIRST_INSTANT)
        if rows:
            start = max(start, rows[0]["kept_from"] or start)
        account = Account(since=start, until=now)
        account.timelines = await timelines_since(connection, start)
        account.numbers = [ending_numbers(r) for r in await connection.fetch(sql("numbers_ending"))]
        names = {r["id"]: r["name"] for r in rows}
        for row in rows:
            try:
                await _schedule(connection, row, account)
            except (SerenoError, ValueError, ArithmeticError) as error:
                # Of a plugin that is not installed here, say, or a row that holds what none writes.
                account.fault("unreadable", row["name"], start, str(error))
        first = await connection.fetchval(sql("verify_first"), start)
        for row in await connection.fetch(sql("verify_doubled"), start, first):
            name = names.get(row["schedule_id"], f"schedule {row['schedule_id']}")
            runs = ", ".join(str(r) for r in row["runs"])
            account.fault(
                "doubled", name, row["slot"], f"runs {runs} claim it; the ledger does not"
            )
        account.backfilled = await connection.fetchval(sql("verify_filled"), start)
        for row in await connection.fetch(sql("verify_backfilled"), start, first):
            name = names.get(row["schedule_id"], f"schedule {row['schedule_id']}")
            kind, detail = _filled_wrongly(row)
            account.fault(kind, name, row["slot"], detail)
        await _fan_outs(connection, first, account)
        await _parts(connection, first, account)
    return account


def _filled_wrongly(row: Record) -> tuple[str, str]:
    run = row["run_id"]
    if row["gone"]:
        return "run missing", f"it was filled by run {run}, which is gone, and was not pruned"
    if row["untrue"]:
        return "untrue", f"it was filled by run {run}, which is of another slot"
    return "doubled", f"it was filled by run {run}, and ran otherwise, or more often than asked for"


async def _fan_outs(connection: Connection, first: int | None, account: Account) -> None:
    """Find fan-outs all of whose runs are over and that lack what was to follow, or have it
    twice."""
    for row in await connection.fetch(sql("verify_fan_outs"), account.since, first):
        account.fan_outs += 1
        if row["fault"] is not None:
            name = f"fan-out {row['id']} of run {row['run_id']}"
            account.fault("fan-out", name, row["made_at"], row["fault"])


async def _parts(connection: Connection, first: int | None, account: Account) -> None:
    """Find runs with parts whose account is wrong."""
    for row in await connection.fetch(sql("verify_parts"), account.since, first):
        account.parts += row["parts"]
        if row["fault"] is not None:
            name = f"run {row['id']} of job '{row['job']}'"
            account.fault("part", name, row["made_at"], row["fault"])


async def _schedule(connection: Connection, row: Record, account: Account) -> None:
    versions = [version_of(v) for v in await connection.fetch(sql("verify_versions"), row["id"])]
    account.schedules += 1
    until = min(row["settled_to"], account.until)
    # A removed schedule whose name is another's by now; its jitter went by the name that it had.
    name = row["name"].removesuffix(f"#{row['id']}")
    ledger = _Ledger(name, row["pruned_run"], account)
    ranges = await connection.fetch(sql("verify_ranges"), row["id"], account.since, until)
    await ledger.hold(
        expected(versions, name, account.since, until),
        _rows(connection, row["id"], account.since, until),
        ranges,
    )
    _hold_edits(versions, name, until, account)
    account.unsettled += sum(1 for _ in expected(versions, name, until, account.until))


def _hold_edits(
    versions: list[ScheduleVersion], name: str, until: datetime, account: Account
) -> None:
    """Find slots that jitter had put off beyond an edit that dropped them: by a version that did
    not keep them, and recorded nothing."""
    ruled = list(spans(versions, account.since, until))
    for (_, _, end), (following, first, _) in pairwise(ruled):
        earlier = [v for v in versions if v.version < following.version]
        for slot in dropped(earlier, following, name, end) if first == end else ():
            if slot <= until:
                detail = "it was put off to here when its schedule was changed, and has no verdict"
                account.slots += 1
                account.fault("lost", name, slot, detail)


def expected(
    versions: list[ScheduleVersion], name: str, after: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield every slot in (after, until] that `versions` made due, soonest first."""
    # A walk of its own, on purpose: a slot that the planner's leaves out by a fault is found lost.
    for version, first, last in spans(versions, after, until):
        trigger = trigger_of(version.trigger, version.jitter, name)
        slot = trigger.next_after(first)
        while slot is not None and slot <= last:
            if version.ends_at is not None and slot >= version.ends_at:
                break
            yield slot
            slot = trigger.next_after(slot)


async def _rows(
    connection: Connection, schedule_id: int, after: datetime, until: datetime
) -> AsyncIterator[Record]:
    cursor = connection.cursor(sql("verify_slots"), schedule_id, after, until, prefetch=_PREFETCH)
    async for row in cursor:
        yield row


class _Ledger:
    """Walks through expected slots, rows and ranges side by side; all are in order."""

    def __init__(self, schedule: str, pruned_run: int, account: Account) -> None:
        self._schedule = schedule
        self._pruned_run = pruned_run
        self._account = account

    async def hold(
        self,
        slots: Iterator[datetime],
        rows: AsyncIterator[Record],
        ranges: list[Record],
    ) -> None:
        """Hold `rows` and `ranges` against `slots`."""
        row = await anext(rows, None)
        waiting = list(reversed(ranges))
        current, counted = (waiting.pop() if waiting else None), 0
        for slot in slots:
            self._account.slots += 1
            while current is not None and current["last_slot"] < slot:
                self._close(current, counted)
                current, counted = (waiting.pop() if waiting else None), 0
            while row is not None and row["slot"] < slot:
                self._unexpected(row)
                row = await anext(rows, None)
            inside = current is not None and current["first_slot"] <= slot
            if row is not None and row["slot"] == slot:
                self._named(row, inside)
                row = await anext(rows, None)
            elif inside and current is not None:
                counted += 1
                self._account.verdicts[current["verdict"]] += 1
            else:
                self._account.fault("lost", self._schedule, slot, "it has no verdict")
        while current is not None:
            self._close(current, counted)
            current, counted = (waiting.pop() if waiting else None), 0
        while row is not None:
            self._unexpected(row)
            row = await anext(rows, None)

    def _named(self, row: Record, inside: bool) -> None:
        self._account.verdicts[row["verdict"]] += 1
        if inside:
            detail = "it has a verdict of its own and one in a range"
            self._account.fault("doubled", self._schedule, row["slot"], detail)
        if row["verdict"] not in ("waiting", "ran", "late"):
            return
        said = "it waits, for" if row["verdict"] == "waiting" else "it ran, by"
        if row["run_id"] is None:
            self._account.fault("run missing", self._schedule, row["slot"], f"{said} no run")
        elif not row["run_here"]:
            if row["run_id"] > self._pruned_run:
                detail = f"its run {row['run_id']} is gone, and was not pruned"
                self._account.fault("run missing", self._schedule, row["slot"], detail)
        elif not row["run_waits"] if row["verdict"] == "waiting" else row["run_unbegun"]:
            detail = f"{said} run {row['run_id']}, which is {row['run_state']}"
            self._account.fault("untrue", self._schedule, row["slot"], detail)

    def _unexpected(self, row: Record) -> None:
        detail = f"it has the verdict '{row['verdict']}' but was never due"
        self._account.fault("unexpected", self._schedule, row["slot"], detail)

    def _close(self, current: Record, counted: int) -> None:
        straddles = current["first_slot"] <= self._account.since
        if counted != current["slots"] and not straddles:
            detail = f"a range from here to {current['last_slot']} counts {current['slots']} slots"
            kind = "lost" if counted > current["slots"] else "unexpected"
            self._account.fault(
                kind, self._schedule, current["first_slot"], f"{detail}, due were {counted}"
            )
