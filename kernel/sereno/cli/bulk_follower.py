"""Changes many runs: shows what that would be, asks, and follows it to its end."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import click
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.output import console, write, write_json
from sereno.cli.query import ask
from sereno.cli.run_filter import run_filter
from sereno.client import BulkPreview, BulkView, Client
from sereno.model.errors import StoreUnavailableError
from sereno.model.terminal import moves_its_cursor
from sereno.observe.complaint import FAILED, INTERRUPTED, complain

F = TypeVar("F", bound=Callable[..., Any])

POLL_SECONDS = 0.2
_LEADERLESS_POLLS = 10
_EVERY = 2**63 - 1

_CHANGED = {"cancel": "cancelled, or asked to stop", "retry": "queued again"}


def bulk_options(function: F) -> F:
    """Give `function` the options ``--reason --yes``."""
    yes = click.option("--yes", is_flag=True, help="Change many runs without asking.")
    reason = click.option("--reason", metavar="TEXT", help="Why; many runs need one.")
    return reason(yes(function))


def is_bulk(run: int | None, narrowed: Mapping[str, Any], *, beside: tuple[str, ...] = ()) -> bool:
    """Tell whether a filter says which runs are meant, and no number does.

    `beside`: options that go with a number too. Raises click.UsageError for both, and for neither.
    """
    given = [name for name, value in narrowed.items() if value]
    if run is None:
        if not given:
            raise click.UsageError("name a run, or say by a filter which runs, as --job 'etl.*'")
        return True
    if others := [name for name in given if name not in beside]:
        raise click.UsageError(f"run {run} is named, and a filter besides ({others[0]}); take one")
    return False


def change_many(
    invocation: Invocation,
    action: Any,
    narrowed: dict[str, Any],
    reason: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Preview, ask, start and follow a bulk; exit 1 unless each of its runs was changed.

    Ctrl-C ends the waiting and not the bulk.
    """
    if not (reason or "").strip():
        raise click.UsageError("many runs are changed for a reason: say it by --reason TEXT")

    async def question(client: Client) -> BulkPreview:
        return await client.preview_bulk(action, run_filter(await client.now(), **narrowed))

    preview = ask(invocation, question)
    if preview.found == 0 and not preview.more:
        remark("no run is so; nothing was done")
        if as_json:
            write_json(None)
        return
    _confirm(preview, yes)

    async def start(client: Client) -> BulkView:
        expect = _EVERY if preview.more else preview.found
        return await client.start_bulk(action, preview.filter, reason=reason or "", expect=expect)

    bulk = ask(invocation, start)
    try:
        bulk = ask(invocation, lambda client: _watch(client, bulk))
    except KeyboardInterrupt:
        click.echo(err=True)
        remark(f"bulk {bulk.id} goes on; `sereno bulks --cancel {bulk.id}` stops it")
        raise click.exceptions.Exit(INTERRUPTED) from None
    _write_end(bulk, as_json)


def _write_end(bulk: BulkView, as_json: bool) -> None:
    """Write how a bulk ended; exit 1 unless each of its runs was changed."""
    if as_json:
        write_json(bulk)
    else:
        changed = _CHANGED[bulk.action]
        write(f"bulk {bulk.id}: {bulk.done:,} of {bulk.matched:,} runs are {changed}")
    if bulk.failed:
        complain(
            f"bulk {bulk.id}: {bulk.failed:,} runs refused it, the first of them: {bulk.error}"
        )
    elif bulk.state != "done":
        by = bulk.cancelled_by
        complain(f"bulk {bulk.id} is {bulk.state}: {f'by {by}' if by else bulk.error}")
    if bulk.failed or bulk.state != "done":
        raise click.exceptions.Exit(FAILED)


def _confirm(preview: BulkPreview, yes: bool) -> None:
    if yes:
        remark(f"this will {preview.sentence}")
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"this would {preview.sentence}; say --yes to do it, nothing was done"
        )
    if not click.confirm(f"This will {preview.sentence}. Go on?", err=True):
        remark("nothing was done")
        raise click.exceptions.Exit(FAILED)


async def _watch(client: Client, bulk: BulkView) -> BulkView:
    """Show how far a bulk is until it is over; on a terminal by a bar."""
    with progress_bar() as bar:
        task = bar.add_task(f"bulk {bulk.id}", total=bulk.expected)
        polls = 0
        while not bulk.over:
            await asyncio.sleep(POLL_SECONDS)
            polls += 1
            with suppress(StoreUnavailableError):
                bulk = await client.bulk(bulk.id)
                of = f"bulk {bulk.id} {bulk.state}, {bulk.matched:,} runs"
                bar.update(task, description=of, completed=bulk.matched)
                if not bulk.over:
                    await warn_leaderless(client, bar, polls, f"bulk {bulk.id} {bulk.state}")
    return bulk


def progress_bar() -> Progress:
    """Return a bar of what is followed, on stderr; without a terminal there is none."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(None))
    return Progress(
        *(*columns, TimeElapsedColumn()),
        console=console(stderr=True),
        transient=True,
        disable=not moves_its_cursor(sys.stderr),
        expand=True,
    )


async def warn_leaderless(client: Client, bar: Progress, polls: int, what: str) -> None:
    """Say once, after some polls, that what is followed waits for a leader, where none is there."""
    if polls == _LEADERLESS_POLLS and not (await client.leader()).held:
        bar.console.print(f"no replica leads; `sereno run` starts one, {what}", soft_wrap=True)
