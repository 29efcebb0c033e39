"""Follows a run to its end: a progress bar on a terminal, one JSON object for programs."""

import asyncio
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from sereno.cli.asking import ask
from sereno.cli.failure import FAILED, INTERRUPTED, remark
from sereno.cli.invocation import Invocation
from sereno.cli.moments import lasting
from sereno.cli.output import write, write_json
from sereno.model.errors import StoreUnavailableError
from sereno.model.run import FINAL
from sereno.store import views
from sereno.store.pool import Database
from sereno.store.views import LeaderView, RunDetail

_QUICK_SECONDS = 0.2
_SLOW_SECONDS = 1.0
_QUICK_LOOKS = 50  # the first ten seconds
_LINES = 10
_HANDED_OVER = timedelta(seconds=2)  # until then somebody else takes the lead


def follow(invocation: Invocation, run_id: int, *, as_json: bool) -> None:
    """Wait for the end of `run_id`, print it, and exit 1 unless it succeeded.

    Ctrl-C ends the waiting and not the run.
    """

    async def wait(db: Database) -> RunDetail:
        return await _watch(db, run_id)

    try:
        run = ask(invocation, wait)
    except KeyboardInterrupt:
        click.echo(err=True)
        remark(f"run {run_id} goes on; `sereno cancel {run_id}` stops it")
        raise click.exceptions.Exit(INTERRUPTED) from None
    if as_json:
        write_json(outcome(run))
    else:
        _tell(run)
    if run.state != "succeeded":
        raise click.exceptions.Exit(FAILED)


def outcome(run: RunDetail) -> dict[str, Any]:
    """Return what ``--wait --json`` prints. `duration`: seconds."""
    return {
        "run": run.id,
        "job": run.job,
        "state": run.state,
        "result": run.result,
        "duration": took(run),
        "attempts": run.attempt,
        "error": run.error,
        "traceback": run.traceback,
        "requested_by": run.requested_by,
        "params": run.params,
        "queued_at": run.queued_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "node": run.node,
        "term": run.term,
    }


def took(run: RunDetail) -> float | None:
    """Return how many seconds the last attempt took, None before it began or ended."""
    if run.started_at is None or run.finished_at is None:
        return None
    return (run.finished_at - run.started_at).total_seconds()


async def _watch(db: Database, run_id: int) -> RunDetail:
    waiting = _Waiting(run_id)
    with waiting.bar:
        looks = 0
        while True:
            with suppress(StoreUnavailableError):
                run = await views.run(db, run_id, lines=_LINES)
                if run.state in FINAL:
                    return run
                waiting.show(run, await views.leader(db))
            looks += 1
            await asyncio.sleep(_QUICK_SECONDS if looks < _QUICK_LOOKS else _SLOW_SECONDS)


class _Waiting:
    """What is shown meanwhile, on stderr: a bar on a terminal, else a sentence where it matters."""

    def __init__(self, run_id: int) -> None:
        self.run_id = run_id
        self.leaderless_since: datetime | None = None
        self.said = False
        console = Console(stderr=True)
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[done]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            expand=True,
        )
        self.task: TaskID = self.bar.add_task(f"run {run_id}", total=None, done="")

    def show(self, run: RunDetail, leader: LeaderView) -> None:
        """Show how far `run` is, and whether there is anybody to run it."""
        self._look_for(leader, run.state)
        state = run.state if run.attempt < 2 else f"{run.state}, attempt {run.attempt}"
        self.bar.update(
            self.task,
            description=f"run {run.id} {state}",
            total=run.total,
            completed=run.done or 0,
            done=_done(run, run.now),
        )

    def _look_for(self, leader: LeaderView, state: str) -> None:
        """Say once that nobody has led for longer than the lead takes to change hands."""
        if leader.held:
            self.leaderless_since = None
            return
        self.leaderless_since = self.leaderless_since or leader.now
        if not self.said and leader.now - self.leaderless_since >= _HANDED_OVER:
            self.said = True
            sentence = f"no replica leads; `sereno run` starts one, run {self.run_id} is {state}"
            self.bar.console.print(sentence, style="yellow", soft_wrap=True)


def _done(run: RunDetail, now: datetime) -> str:
    if run.state == "queued":
        wait = run.run_at - now
        return f"starts in {lasting(wait)}" if wait > timedelta(0) else "waits for its turn"
    amount = "" if run.done is None else f"{run.done:,g}"
    if run.total:
        amount += f" of {run.total:,g}"
    return f"{amount} {run.note or ''}".strip()


def _tell(run: RunDetail) -> None:
    end = run.finished_at or run.now
    seconds = "" if run.started_at is None else f" after {lasting(end - run.started_at)}"
    tries = f" in attempt {run.attempt}" if run.attempt > 1 else ""
    write(f"run {run.id} of job '{run.job}' {run.state}{seconds}{tries}")
    if run.result is not None:
        write(msgspec.json.format(msgspec.json.encode(run.result), indent=2).decode())
    if run.error:
        write(run.error)
        remark(f"`sereno show {run.id}` shows the traceback and the log")
    sys.stdout.flush()
