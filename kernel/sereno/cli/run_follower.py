"""Follows a run to its end: a progress bar on a terminal, one JSON object for programs."""

import asyncio
import math
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

import click
import msgspec
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.moments import ended, lasting
from sereno.cli.options import DURATION, reveal_option
from sereno.cli.output import console, styled, write, write_json
from sereno.cli.query import ask
from sereno.client import Client, LeaderView, RunDetail
from sereno.model.errors import StoreUnavailableError
from sereno.model.run import FINAL
from sereno.model.terminal import moves_its_cursor
from sereno.model.text import visible, visible_line
from sereno.observe.complaint import FAILED, INTERRUPTED
from sereno.settings import redact

F = TypeVar("F", bound=Callable[..., Any])

_QUICK_SECONDS = 0.2
_SLOW_SECONDS = 1.0
_QUICK_POLLS = 50  # the first ten seconds
_LINES = 10
_SELDOM_SECONDS = 10.0
_HANDED_OVER = timedelta(seconds=2)  # until then somebody else takes the lead


def waiting_options(function: F) -> F:
    """Give `function` the options ``--wait --timeout --reveal``."""
    limit = click.option(
        "--timeout",
        type=DURATION,
        metavar="DURATION",
        help="How long to wait; then exit 1, and the run goes on. [default: for ever]",
    )
    wait = click.option("--wait", is_flag=True, help="Wait for the end; exit 1 unless it succeeds.")
    return wait(limit(reveal_option(function)))


def check_waiting(wait: bool, timeout: timedelta | None) -> None:
    """Raise click.UsageError where a limit is given to what does not wait."""
    if timeout is not None and not wait:
        raise click.UsageError(
            "--timeout says how long --wait waits; a job's own is a policy of it"
        )


def follow(
    invocation: Invocation,
    run_id: int,
    timeout: timedelta | None = None,
    *,
    reveal: bool = False,
    as_json: bool,
) -> None:
    """Wait for the end of `run_id`, print it, and exit 1 unless it succeeded.

    Ctrl-C ends the waiting and not the run; so does `timeout`, with exit code 1.
    """

    async def wait(client: Client) -> RunDetail:
        return await _watch(client, run_id, timeout, reveal)

    try:
        run = ask(invocation, wait)
    except KeyboardInterrupt:
        click.echo(err=True)
        remark(f"run {run_id} goes on; `sereno cancel {run_id}` stops it")
        raise click.exceptions.Exit(INTERRUPTED) from None
    if as_json:
        write_json(run.facts())
    else:
        _print(run)
    if run.state not in FINAL:
        remark(
            f"run {run_id} goes on; `sereno show {run_id}` tells of it, `sereno cancel {run_id}` "
            "stops it"
        )
    if run.state != "succeeded":
        raise click.exceptions.Exit(FAILED)


async def _watch(client: Client, run_id: int, timeout: timedelta | None, reveal: bool) -> RunDetail:
    waiting = _Waiting(run_id)
    run: RunDetail | None = None
    until = math.inf if timeout is None else monotonic() + timeout.total_seconds()
    with waiting.bar:
        polls = 0
        while True:
            with suppress(StoreUnavailableError):
                run = await client.run(run_id, lines=_LINES, reveal=reveal)
                waiting.print_attempts(run)
                if run.state in FINAL:
                    return run
                waiting.show(run, await client.leader())
            left = until - monotonic()
            if left <= 0:
                return run or await client.run(run_id, lines=_LINES, reveal=reveal)
            polls += 1
            pause = _QUICK_SECONDS if polls < _QUICK_POLLS else _SLOW_SECONDS
            await asyncio.sleep(min(pause, left))


class _Waiting:
    """What is shown meanwhile, on stderr: a bar on a terminal, else a sentence where it matters."""

    def __init__(self, run_id: int) -> None:
        self.run_id = run_id
        self.leaderless_since: datetime | None = None
        self.warned = False
        self.attempts_printed = 0
        self.progress_printed = ("", monotonic())
        terminal = console(stderr=True)
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[done]}", markup=False),
            TimeElapsedColumn(),
            console=terminal,
            transient=True,
            disable=not moves_its_cursor(sys.stderr),
            expand=True,
        )
        self.task: TaskID = self.bar.add_task(f"run {run_id}", total=None, done="")

    def show(self, run: RunDetail, leader: LeaderView) -> None:
        """Show how far `run` is, and whether there is anybody to run it."""
        self._warn_leaderless(leader, run.state)
        state = run.state if run.attempt < 2 else f"{run.state}, attempt {run.attempt}"
        done = _done(run, run.now)
        self.bar.update(
            self.task,
            description=f"run {run.id} {state}",
            total=run.total,
            completed=min(run.done or 0, run.total or math.inf),
            done=done,
        )
        if self.bar.disable:
            self._print_progress(f"run {run.id} is {state}" + (f": {done}" if done else ""))

    def print_attempts(self, run: RunDetail) -> None:
        """Print which attempts have ended without success, and when the next one begins."""
        printed, self.attempts_printed = self.attempts_printed, len(run.attempts)
        for attempt in run.attempts[printed:]:
            took = ""
            if attempt.started_at is not None and attempt.finished_at is not None:
                took = f" after {lasting(attempt.finished_at - attempt.started_at)}"
            why = f": {ended(visible(attempt.error))}" if attempt.error else ""
            self._print_line(f"attempt {attempt.attempt} {attempt.state}{took}{why}")
        if len(run.attempts) > printed and run.state == "queued":
            wait = lasting(max(run.run_at - run.now, timedelta(0)))
            self._print_line(
                f"attempt {run.attempt + 1} begins in {wait}; `sereno cancel {run.id}` stops it"
            )

    def _print_progress(self, words: str) -> None:
        """Print without a terminal how far it is, seldom, and only what is new."""
        last, at = self.progress_printed
        if words != last and monotonic() - at >= _SELDOM_SECONDS:
            self.progress_printed = (words, monotonic())
            self._print_line(words, style="")

    def _print_line(self, words: str, style: str = "yellow") -> None:
        self.bar.console.print(styled(redact(words), style), soft_wrap=True)

    def _warn_leaderless(self, leader: LeaderView, state: str) -> None:
        """Print once that nobody has led for longer than the lead takes to change hands."""
        if leader.held:
            self.leaderless_since = None
            return
        self.leaderless_since = self.leaderless_since or leader.now
        if not self.warned and leader.now - self.leaderless_since >= _HANDED_OVER:
            self.warned = True
            remedy = "`sereno run` starts one"
            if leader.holder is not None:
                remedy = (
                    f"{leader.holder} holds its lock and is none; end it: {leader.holder.remedy}"
                )
            sentence = f"no replica leads; {remedy}, run {self.run_id} is {state}"
            self._print_line(sentence)


def _done(run: RunDetail, now: datetime) -> str:
    if run.state == "queued":
        wait = run.run_at - now
        return f"starts in {lasting(wait)}" if wait > timedelta(0) else "waits for its turn"
    amount = "" if run.done is None else f"{run.done:,g}"
    if run.total:
        amount += f" of {run.total:,g}"
    return visible_line(f"{amount} {run.note or ''}".strip())


def _print(run: RunDetail) -> None:
    end = run.finished_at or run.now
    seconds = "" if run.started_at is None else f" after {lasting(end - run.started_at)}"
    tries = f" in attempt {run.attempt}" if run.attempt > 1 else ""
    state = run.state if run.state in FINAL else f"is still {run.state}"
    write(f"run {run.id} of job '{run.job}' {state}{seconds}{tries}")
    if run.result is not None:
        write(msgspec.json.format(msgspec.json.encode(run.result), indent=2).decode())
    if run.error:
        write(run.error)
        remark(f"`sereno show {run.id}` shows the traceback and the log")
    sys.stdout.flush()
