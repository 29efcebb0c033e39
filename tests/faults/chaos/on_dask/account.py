"""What became of slots and runs that workers of Dask had, by the database and by the jobs' file.

Lost: a slot without the verdict `ran` or `late`, or whose run ended otherwise than well; of the job
that must not run twice, otherwise than well or `lost`. At work twice: a line of an earlier attempt
after the first one of the next, as lines are appended in the order in which they are written. Begun
twice: two attempts at a slot of the job that must not run twice, or at a brief run that stands in
line now and then, or one attempt that began twice.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.servers.waiting import wait_until

from ..account import Books, Finding, of_deposed, of_results, of_verify, verified
from .jobs import again, brief, long, once
from .stage import Stage

_SLOTS = """
    SELECT c.name, s.slot, s.verdict, s.reason, r.id, r.state, r.error, c.job FROM sereno.slot s
      JOIN sereno.schedule c ON c.id = s.schedule_id LEFT JOIN sereno.run r ON r.id = s.run_id
     WHERE s.slot BETWEEN %s AND %s
"""
_RANGES = """
    SELECT c.name, r.first_slot, r.slots, r.verdict FROM sereno.slot_range r
      JOIN sereno.schedule c ON c.id = r.schedule_id
"""
_RESULTS = """
    SELECT id, job, slot, attempt, token::text, result ->> 'token', coalesce(slot, queued_at)
      FROM sereno.run
     WHERE state = 'succeeded' AND job <> 'dask.devour'
       AND coalesce(slot, queued_at) BETWEEN %s AND %s
"""
_BRIEF = """
    SELECT id, queued_at, state, error FROM sereno.run
     WHERE job = 'dask.brief' AND queued_at BETWEEN %s AND %s
"""
_OPEN = """
    SELECT count(*) FROM sereno.run
     WHERE state IN ('queued', 'running') AND coalesce(slot, queued_at) <= %s
"""
_ENDS = {again.name: ("succeeded",), long.name: ("succeeded",), once.name: ("succeeded", "lost")}
_SLOTS_OF = "SELECT id, coalesce(slot, queued_at) FROM sereno.run"

Line = Mapping[str, Any]


def balance(scene: Stage, since: datetime) -> Books:
    """Wait until what is due by now is over, and hold everything against everything."""
    eye = scene.eye
    cutoff = eye.now()
    wait_until(lambda: eye.value("SELECT min(settled_to) FROM sereno.watermark") > cutoff, "slots")
    wait_until(lambda: eye.value(_OPEN, [cutoff]) == 0, "all runs to end", 90)
    found = asyncio.run(verified(scene.dsn, eye.now() - since))
    lines = [json.loads(text) for text in scene.file.read_text().splitlines()]
    slots = eye.rows(_SLOTS, [since, cutoff])
    instants = dict(eye.rows(_SLOTS_OF))
    findings = [
        *of_verify(found),
        *of_slots(slots, eye.rows(_RANGES)),
        *of_brief(eye.rows(_BRIEF, [since, cutoff])),
        *of_deposed(eye),
        *of_results(eye.rows(_RESULTS, [since, cutoff]), lines),
        *of_beginnings(lines, instants),
        *of_work(lines, instants),
    ]
    began = sum(line["word"] == "began" for line in lines)
    return Books(len(slots), eye.value("SELECT count(*) FROM sereno.run"), began, findings)


def of_slots(
    slots: Sequence[tuple[Any, ...]], ranges: Sequence[tuple[Any, ...]]
) -> Iterable[Finding]:
    """Find slots that did not run, and runs that did not end as they may."""
    for name, slot, verdict, reason, run, state, error, job in slots:
        detail = f"{name} at {slot}: {verdict} ({reason}), run {run} is {state}: {error}"
        if verdict not in ("ran", "late"):
            yield Finding("slot lost", slot, detail)
        elif state not in _ENDS[job]:
            yield Finding("run lost", slot, detail)
    for name, first, count, verdict in ranges:
        yield Finding("slot lost", first, f"{name}: {count} slots from {first} are {verdict}")


def of_brief(runs: Iterable[tuple[Any, ...]]) -> Iterable[Finding]:
    """Find brief runs that did not end as they may."""
    for run, queued_at, state, error in runs:
        if state not in ("succeeded", "lost"):
            yield Finding("run lost", queued_at, f"{brief.name}: run {run} is {state}: {error}")


def of_beginnings(lines: Iterable[Line], instants: Mapping[int, datetime]) -> Iterable[Finding]:
    """Find what began twice."""
    began = [line for line in lines if line["word"] == "began"]
    for token, count in Counter(line["token"] for line in began).items():
        if count > 1:
            line = next(line for line in began if line["token"] == token)
            yield Finding("begun twice", instants[line["run"]], f"attempt {token}: {count} times")
    slots, runs = defaultdict(list), defaultdict(list)
    for line in began:
        if line["job"] == once.name:
            slots[line["slot"]].append(line)
        elif line["job"] == brief.name:
            runs[line["run"]].append(line)
    for run, twice in runs.items():
        if len(twice) > 1:
            yield Finding("begun twice", instants[run], f"{brief.name}: {twice}")
    for slot, twice in slots.items():
        if len(twice) > 1:
            yield Finding("begun twice", datetime.fromisoformat(slot), f"{once.name}: {twice}")


def of_work(lines: Iterable[Line], instants: Mapping[int, datetime]) -> Iterable[Finding]:
    """Find runs of which two attempts were at work at once."""
    last: dict[int, str] = {}
    before: set[tuple[int, str]] = set()
    told: set[int] = set()
    for line in lines:
        run, token = line["run"], line["token"]
        if (run, token) in before and run not in told:
            told.add(run)
            detail = f"run {run} of {line['job']}: attempt {line['attempt']} beside the next"
            yield Finding("at work twice", instants[run], detail)
        elif last.get(run, token) != token:
            before.add((run, last[run]))
        last[run] = token
