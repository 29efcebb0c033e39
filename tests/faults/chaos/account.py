"""What became of every slot and run, by the database and by the file that the jobs wrote.

Lost, a slot: it has no verdict, or one that is not `ran` or `late` (every job here catches up on
all), or a run that never succeeded; or, by the file alone, its second is missing there. Doubled, a
slot: two runs claim it, in the database or in the file. Lost, a run: it is not
`succeeded` in the end, or is so though no job of its last attempt came to its end, or nothing was
chained to it. Doubled, a run: chained twice, or two of its attempts came to their end although the
process of the first one was healthy until the second began. (A run is made *at least* once: what a
dead, frozen or cut off process had done already may be done again, as another attempt.)

Another's result: a run that ended well with the token of another attempt, or of another slot's.
Two leaders: a slot that a term has settled or begun after the next term had begun. Both instants
are the database's, and taken under the lock of the one row that fences all that a leader writes.
Begun twice: two attempts at a slot of the job that must not run twice, whatever was done. When a
standby took over that lacked commits, slots since then are made again, and that is counted.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from tests.servers.waiting import wait_until

from sereno.engine.verification import Account, verify
from sereno.store.pool import Database

from .eye import Eye
from .plugin import EVERY_SECOND, ONCE
from .replicas import Harm
from .stage import Promotion

Kind = Literal[
    "slot lost",
    "slot doubled",
    "run lost",
    "run doubled",
    "another's result",
    "begun twice",
    "at work twice",
    "two leaders",
]

_BAD_SLOTS = """
    SELECT c.name, s.slot, s.verdict, s.reason, r.id, r.state, r.error FROM sereno.slot s
      JOIN sereno.schedule c ON c.id = s.schedule_id LEFT JOIN sereno.run r ON r.id = s.run_id
     WHERE s.slot <= %s AND c.job <> 'chaos.once'
       AND (s.verdict NOT IN ('ran', 'late') OR r.state IS DISTINCT FROM 'succeeded')
"""
_ONCE = """
    SELECT s.slot, s.verdict, s.reason, r.id, r.state, r.error FROM sereno.slot s
      JOIN sereno.schedule c ON c.id = s.schedule_id LEFT JOIN sereno.run r ON r.id = s.run_id
     WHERE s.slot BETWEEN %s AND %s AND c.job = 'chaos.once'
"""
_RESULTS = """
    SELECT id, job, slot, attempt, token::text, result ->> 'token', coalesce(slot, queued_at)
      FROM sereno.run WHERE state = 'succeeded' AND coalesce(slot, queued_at) BETWEEN %s AND %s
"""
_BAD_RANGES = """
    SELECT c.name, r.first_slot, r.last_slot, r.slots, r.verdict, c.job, r.reason
      FROM sereno.slot_range r JOIN sereno.schedule c ON c.id = r.schedule_id
"""
_DOUBLED = """
    SELECT schedule_id, slot, array_agg(id) FROM sereno.run WHERE slot IS NOT NULL
     GROUP BY schedule_id, slot HAVING count(*) > 1
"""
_RUNS = """
    SELECT id, job, state, attempt, coalesce(slot, queued_at) FROM sereno.run
     WHERE coalesce(slot, queued_at) <= %s
"""
_CHAINED = """
    SELECT u.id, u.slot, count(d.id) FROM sereno.run u
      LEFT JOIN sereno.run d ON d.job = 'chaos.chained' AND d.requested_by = 'run ' || u.id
     WHERE u.job = 'chaos.loop' AND u.state = 'succeeded' AND u.slot <= %s
     GROUP BY u.id, u.slot HAVING count(d.id) <> 1
"""
_DEPOSED = """
    SELECT s.slot, s.term, s.decided_at, t.term, t.acquired_at FROM sereno.slot s
      JOIN LATERAL (SELECT n.term, n.acquired_at FROM sereno.term n
                     WHERE n.term > s.term ORDER BY n.term LIMIT 1) t ON true
     WHERE s.verdict IN ('ran', 'late') AND s.decided_at > t.acquired_at
"""
_OPEN = """
    SELECT count(*) FROM sereno.run
     WHERE state IN ('queued', 'running') AND coalesce(slot, queued_at) <= %s
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be. `at`: its slot, or when its run was queued."""

    kind: Kind
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What lost commits cost. `again`: slots that were made a second time; `doubtful`: slots and
    runs that were not begun, for they may have run; `gone`: runs of which the database knows
    nothing any more; `told`: the promotions that `sereno verify` tells of."""

    again: int = 0
    doubtful: int = 0
    gone: int = 0
    told: int = 0


@dataclass(frozen=True, slots=True)
class Books:
    """All that was counted and found."""

    slots: int
    runs: int
    attempts: int
    findings: list[Finding]
    forgotten: Forgotten = Forgotten()


def balance(
    eye: Eye,
    dsn: str,
    file: Path,
    since: datetime,
    harms: Sequence[Harm],
    promotions: Sequence[Promotion] = (),
) -> Books:
    """Wait until what is due by now is over, and hold everything against everything."""
    cutoff = eye.now()
    wait_until(lambda: eye.value("SELECT min(settled_to) FROM sereno.watermark") > cutoff, "slots")
    wait_until(lambda: eye.value(_OPEN, [cutoff]) == 0, "all runs to end", 60)
    account = asyncio.run(verified(dsn, eye.now() - since))
    findings = [
        *of_verify(account),
        *_of_slots(eye, cutoff),
        *_of_chains(eye, cutoff),
        *of_deposed(eye),
    ]
    doubtful = _of_once(eye, since, cutoff, promotions, findings)
    runs = eye.rows(_RUNS, [cutoff])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    again = 0
    for finding in _of_seconds(lines, since, cutoff):
        if finding.kind == "slot doubled" and _forgotten(finding.at, promotions):
            again += 1
        else:
            findings.append(finding)
    findings += _of_runs(runs, lines)
    findings += _of_attempts(lines, harms, {r[0]: r[4] for r in runs})
    findings += of_results(eye.rows(_RESULTS, [since, cutoff]), lines)
    findings += _of_beginnings(lines)
    began = sum(1 for line in lines if line["word"] == "began")
    known = {r[0] for r in eye.rows("SELECT id FROM sereno.run")}
    forgotten = Forgotten(
        again=again,
        doubtful=doubtful,
        gone=len({line["run"] for line in lines} - known) if promotions else 0,
        told=len(account.timelines),
    )
    return Books(account.slots, len(runs), began, findings, forgotten)


def _forgotten(slot: datetime, promotions: Sequence[Promotion]) -> bool:
    """Tell whether a standby that took over may have lacked what became of this slot."""
    return any(p.since <= slot <= p.until for p in promotions)


def _of_once(
    eye: Eye,
    since: datetime,
    cutoff: datetime,
    promotions: Sequence[Promotion],
    findings: list[Finding],
) -> int:
    """Return how many slots of the job that must not run twice were not begun, for they may have
    run; add what is lost without such a reason."""
    doubtful = 0
    for slot, verdict, reason, run, state, error in eye.rows(_ONCE, [since, cutoff]):
        told = str(reason or error or "").startswith("it may have run")
        if told and not _forgotten(slot, promotions):
            findings.append(Finding("slot lost", slot, f"{ONCE} at {slot}: nothing was forgotten"))
        elif told:
            doubtful += 1
        elif verdict not in ("ran", "late") or state not in ("succeeded", "lost"):
            detail = f"{ONCE} at {slot}: {verdict} ({reason}), run {run} is {state}: {error}"
            findings.append(Finding("slot lost", slot, detail))
    for _, first, last, slots, _, job, reason in eye.rows(_BAD_RANGES):
        if job == ONCE and str(reason).startswith("it may have run"):
            doubtful += slots
            if not any(p.since <= first and last <= p.until for p in promotions):
                findings.append(Finding("slot lost", first, f"{ONCE} from {first} to {last}"))
    return doubtful


def of_results(
    rows: Sequence[tuple[Any, ...]], lines: Sequence[Mapping[str, Any]]
) -> Iterable[Finding]:
    """Find runs that carry what another attempt brought, by the tokens that jobs wrote and
    returned."""
    began = {line["token"]: line for line in lines if line["word"] == "began"}
    for run, job, slot, attempt, token, result, at in rows:
        line = began.get(result)
        wanted = (job, None if slot is None else slot.isoformat(), run, attempt)
        same = line is not None and wanted == (
            line["job"],
            line["slot"] and datetime.fromisoformat(line["slot"]).astimezone(UTC).isoformat(),
            line["run"],
            line["attempt"],
        )
        if result != token or not same:
            detail = f"run {run} of {job}, {slot}, token {token} has the result of {result}: {line}"
            yield Finding("another's result", at, detail)


def _of_beginnings(lines: Sequence[Mapping[str, Any]]) -> Iterable[Finding]:
    """Find slots of the job that must not run twice that were begun twice."""
    began: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["word"] == "began" and line["job"] == ONCE:
            began[line["slot"]].append(line)
    for slot, twice in began.items():
        if len(twice) > 1:
            yield Finding("begun twice", datetime.fromisoformat(slot), f"{ONCE}: {twice}")


async def verified(dsn: str, since: timedelta) -> Account:
    """Return what ``sereno verify`` finds."""
    db = Database(dsn)
    await db.open()
    try:
        return await verify(db, since)
    finally:
        await db.close()


def of_verify(account: Account) -> Iterable[Finding]:
    """Find what ``sereno verify`` tells of."""
    for fault in account.faults:
        kind: Kind = "slot doubled" if fault.kind in ("doubled", "unexpected") else "slot lost"
        yield Finding(kind, fault.slot, f"verify: {fault.schedule} {fault.kind}: {fault.detail}")


def _of_slots(eye: Eye, cutoff: datetime) -> Iterable[Finding]:
    for name, slot, verdict, reason, run, state, error in eye.rows(_BAD_SLOTS, [cutoff]):
        detail = f"{name} at {slot}: {verdict} ({reason}), run {run} is {state}: {error}"
        yield Finding("slot lost", slot, detail)
    for name, first, _, slots, verdict, job, _ in eye.rows(_BAD_RANGES):
        if job != ONCE:
            yield Finding("slot lost", first, f"{name}: {slots} slots from {first} are {verdict}")
    for schedule, slot, runs in eye.rows(_DOUBLED):
        yield Finding("slot doubled", slot, f"schedule {schedule} at {slot}: runs {runs}")


def _of_chains(eye: Eye, cutoff: datetime) -> Iterable[Finding]:
    for run, slot, count in eye.rows(_CHAINED, [cutoff]):
        kind: Kind = "run lost" if count == 0 else "run doubled"
        yield Finding(kind, slot, f"run {run} of chaos.loop has {count} chained runs")


def of_deposed(eye: Eye) -> Iterable[Finding]:
    """Find slots that a leader wrote after the next one's term had begun."""
    for slot, term, at, following, began in eye.rows(_DEPOSED):
        detail = f"term {term} wrote slot {slot} at {at}, after term {following} began at {began}"
        yield Finding("two leaders", slot, detail)


def _of_seconds(
    lines: Sequence[Mapping[str, Any]], since: datetime, until: datetime
) -> Iterable[Finding]:
    """Account for every second in between by the file alone, whatever the database believes."""
    ended: dict[tuple[str, datetime], set[int]] = defaultdict(set)
    for line in lines:
        if line["word"] == "ended" and line["slot"] is not None:
            ended[line["job"], datetime.fromisoformat(line["slot"])].add(line["run"])
    first = since.replace(microsecond=0) + timedelta(seconds=1)
    for job in sorted(EVERY_SECOND):
        for second in range(int((until - first).total_seconds()) + 1):
            slot = first + timedelta(seconds=second)
            runs = ended.get((job, slot), set())
            if not runs:
                yield Finding("slot lost", slot, f"the file has no end of {job} at {slot}")
            elif len(runs) > 1:
                yield Finding("slot doubled", slot, f"the file has runs {runs} of {job} at {slot}")


def _of_runs(runs: Sequence[tuple[Any, ...]], lines: list[dict[str, Any]]) -> Iterable[Finding]:
    ended = {(line["run"], line["attempt"]) for line in lines if line["word"] == "ended"}
    for run, job, state, attempt, at in runs:
        if job == ONCE:
            continue
        if state != "succeeded":
            yield Finding("run lost", at, f"run {run} of {job} is {state}")
        elif (run, attempt) not in ended:
            yield Finding("run lost", at, f"run {run} of {job}: attempt {attempt} never ended")


def _of_attempts(
    lines: list[dict[str, Any]], harms: Sequence[Harm], instants: dict[int, datetime]
) -> Iterable[Finding]:
    began: dict[str, float] = {}  # by token: a lost claim's number is given to another attempt
    ended: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["word"] == "began":
            began[line["token"]] = line["at"]
        else:
            ended[line["run"]].append(line)
    for run, ends in ended.items():
        ends.sort(key=lambda line: began[line["token"]])
        for first, second in pairwise(ends):
            start = began[first["token"]], began[second["token"]]
            if not _excused(first["replica"], *start, harms):
                detail = f"run {run} of {first['job']} came to its end twice: {first}, {second}"
                at = instants.get(run, datetime.fromtimestamp(0, UTC))
                yield Finding("run doubled", at, detail)


def _excused(label: str, since: float, until: float, harms: Sequence[Harm]) -> bool:
    """Tell whether the process `label` was harmed between these steady times."""
    return any(h.label == label and h.since <= until and h.until >= since for h in harms)
