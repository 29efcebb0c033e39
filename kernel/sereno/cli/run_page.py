"""All that is kept of one run, on a page."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from rich.text import Text

from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact, lasting
from sereno.cli.output import styled, title, word, write, write_facts, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.runs import progress
from sereno.cli.table import Cell, TableColumn
from sereno.client import (
    AttemptView,
    Client,
    LogLine,
    PartView,
    RunDetail,
    Straggler,
    WarningView,
)
from sereno.model.run import SNOOZED
from sereno.model.snooze import MOST_SNOOZES

_PARTS = (
    TableColumn("at"),
    TableColumn("run"),
    TableColumn("state"),
    TableColumn("took"),
    TableColumn("error", grows=True),
)

_MOST_ATTEMPTS = 20

_LEVELS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}


def show(invocation: Invocation, run_id: int, lines: int, *, reveal: bool, as_json: bool) -> None:
    """Print the run `run_id` with its last `lines` log lines."""

    async def question(client: Client) -> tuple[RunDetail, list[Straggler]]:
        found = await client.run(run_id, lines=lines, reveal=reveal)
        return found, [s for s in await client.overstaying() if s.run_id == run_id]

    run, left = ask(invocation, question)
    if as_json:
        write_json(run.facts() | {"overstaying": left})
        return
    write(Text.assemble((f"run {run.id}", "bold"), f" of job '{run.job}': ", word(run.state)))
    write_facts(_facts(run))
    for one in left:
        write(
            styled(
                f"attempt {one.attempt} works on on {one.label}: it was told to stop "
                f"{lasting(one.now - one.since)} ago, and keeps its place",
                "yellow",
            )
        )
    if run.parts:
        title("parts")
        write_table(_PARTS, [_part(part, run.now) for part in run.parts])
    print_outcome(run)


def _part(part: PartView, now: datetime) -> list[Cell]:
    took = ""
    if part.started_at is not None:
        took = lasting((part.finished_at or now) - part.started_at)
    return [part.place or "?", str(part.run), word(part.state), took, part.error or ""]


def print_outcome(run: RunDetail) -> None:
    """Print attempts, warnings, result, error and log."""
    if run.attempts:
        title("attempts")
        if (earlier := len(run.attempts) - _MOST_ATTEMPTS) > 0:
            write(styled(f"{earlier:,} before these, --json has them", "dim"))
        for attempt in [*run.attempts[-_MOST_ATTEMPTS:], _last(run)]:
            write(_attempt(attempt, run.now))
    _print_warnings(run)
    if run.result is not None:
        title("result")
        write(pretty(run.result))
    if run.traceback or run.error:
        title("error")
        # What its traceback ends with is not told twice.
        if run.error and run.error not in (run.traceback or ""):
            write(styled(run.error, "red"))
        if run.traceback:
            write(styled(run.traceback.rstrip(), "red"))
    if run.lines:
        title("log, its last lines")
        for line in run.lines:
            write(_line(line))


def _print_warnings(run: RunDetail) -> None:
    if run.warned:
        title("warnings")
    for warning in run.warned:
        write(_warning(warning))


def pretty(value: Any) -> str:
    """Return `value` as JSON, on one line where it is short."""
    encoded = msgspec.json.encode(value)
    return (encoded if len(encoded) <= 70 else msgspec.json.format(encoded, indent=2)).decode()


def _facts(run: RunDetail) -> Iterator[tuple[str, Cell | None]]:
    yield (
        "cause",
        f"{run.cause}, asked for by {run.requested_by}" if run.requested_by else run.cause,
    )
    if run.part_of is not None:
        yield "part", f"of run {run.part_of}, at '{run.place}'"
    yield "title", run.title or None
    yield "owner", run.owner or None
    yield "runbook", run.runbook or None
    yield "tags", ", ".join(sorted({*run.tags, *run.job_tags, *run.schedule_tags})) or None
    yield "repeats", f"run {run.repeats}" if run.repeats is not None else None
    yield "alone", "what is chained after it does not run" if run.alone else None
    yield "back-fill", str(run.backfill) if run.backfill is not None else None
    if run.slot is not None:
        yield "slot", f"{exact(run.slot)} of schedule '{run.schedule or '?'}'"
    if run.verdict is not None:
        yield (
            "verdict",
            f"{run.verdict}, {run.verdict_reason}" if run.verdict_reason else run.verdict,
        )
    yield "queued", exact(run.queued_at, fine=True)
    if run.state == "queued":
        by = f", or by {exact(run.start_by)}" if run.start_by and not run.attempt else ""
        yield "starts", f"{exact(run.run_at)}, at the earliest{by}"
    yield "started", exact(run.started_at, fine=True)
    yield "finished", exact(run.finished_at, fine=True)
    if run.started_at is not None:
        yield "took", lasting((run.finished_at or run.now) - run.started_at)
    if run.stalled_since is not None:
        silent = lasting(run.now - run.stalled_since)
        yield "stalled", styled(f"it has said nothing for {silent}", "yellow")
    lost = f", {run.losses} lost" if run.losses else ""
    yield "attempt", f"{run.attempt}{lost}" if run.attempt else "none has begun"
    snoozes = sum(one.state == SNOOZED for one in run.attempts)
    yield "put itself off", f"{snoozes:,} of at most {MOST_SNOOZES:,} times" if snoozes else None
    handed = "handed to " if run.state == "queued" else ""
    yield "replica", f"{handed}{run.node}, term {run.term}" if run.node else None
    yield "params", pretty(run.params) if run.params else None
    yield "upstream", pretty(run.upstream) if run.upstream else None
    yield "priority", str(run.priority) if run.priority else None
    held = f", held until {exact(run.held_until)}" if run.held_until else ""
    yield "unique key", f"{run.unique_key}{held}" if run.unique_key else None
    yield "in turn with", run.concurrency_key
    yield "waits, as", run.waits_for_key
    yield "only at", run.only_at
    if run.state == "queued" and run.node is None and (run.place or run.only_at):
        yield "waits for", f"its turn, or a replica with room, at '{run.place or run.only_at}'"
    yield "waits", run.waits_for_node
    yield "trace", run.trace_context
    yield "progress", progress(run)
    yield "checkpoint", None if run.checkpoint is None else pretty(run.checkpoint)
    if run.cancelled_by is not None:
        because = f": {run.cancel_reason}" if run.cancel_reason else ""
        yield "cancelled by", f"{run.cancelled_by}, {exact(run.cancelled_at)}{because}"


def _last(run: RunDetail) -> AttemptView:
    return AttemptView(
        attempt=run.attempt if run.state != "queued" else run.attempt + 1,
        state=run.state,
        node=run.node,
        term=run.term,
        started_at=run.started_at if run.state != "queued" else None,
        finished_at=run.finished_at,
        error=run.error,
    )


def _attempt(attempt: AttemptView, now: datetime) -> Text:
    took = ""
    if attempt.started_at is not None:
        took = f" after {lasting((attempt.finished_at or now) - attempt.started_at)}"
    where = f" on {attempt.node}" if attempt.node else ""
    error = f": {attempt.error}" if attempt.error else ""
    return Text.assemble(
        f"{attempt.attempt}  ", word(attempt.state), styled(f"{took}{where}{error}")
    )


def _warning(warning: WarningView) -> Text:
    often = "" if warning.times == 1 else f" ({warning.times:,} times)"
    return Text.assemble(f"{warning.attempt}  ", styled(f"{warning.message}{often}", "yellow"))


def _line(line: LogLine) -> Text:
    style = _LEVELS.get(line.level.upper(), "")
    here = line.at.astimezone()
    return Text.assemble(
        (f"{here:%H:%M:%S}.{here.microsecond // 1000:03} ", "dim"),
        (f"{line.level.lower():<8} ", style),
        styled(line.message.replace("\n", "\n" + " " * 22)),
    )
