"""``sereno backfill``: runs slots that were missed or never due."""

import asyncio
import sys
from contextlib import suppress
from datetime import datetime

import click

from sereno.cli.bulk_follower import POLL_SECONDS, progress_bar, warn_leaderless
from sereno.cli.failure import remark
from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.client import BackfillPreview, BackfillView, Client
from sereno.model.errors import StoreUnavailableError
from sereno.observe.complaint import FAILED, INTERRUPTED, complain


@click.command("backfill")
@click.argument("name", metavar="JOB|SCHEDULE")
@click.option("--since", required=True, metavar="TIME", help="Slots from then on: -2d, 2026-03-01.")
@click.option("--until", metavar="TIME", help="Slots before then. [default: now]")
@click.option("--missed-only", is_flag=True, help="Only slots whose verdict is 'missed'.")
@click.option("--again", is_flag=True, help="Slots that ran, too.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Runs of it at once.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with it and in the trail.")
@click.option("--yes", is_flag=True, help="Begin without asking.")
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    name: str,
    since: str,
    until: str | None,
    missed_only: bool,
    again: bool,
    parallel: int,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Run the slots of a time that is past and that did not run, each with its own instant.

    Those that were missed, coalesced or skipped, and those that were never due, once that is
    confirmed; the oldest first, one after another. Exit code 1 unless each of the runs succeeded.
    """
    span: dict[str, datetime] = {}

    async def question(client: Client) -> BackfillPreview:
        now = await client.now()
        span["since"] = read_instant(since, now)
        if until is not None:
            span["until"] = read_instant(until, now)
        return await client.preview_backfill(name, **span, missed_only=missed_only, again=again)

    preview = ask(invocation, question)
    if preview.found == 0 and not preview.more:
        remark(f"nothing is to be done: this would {preview.sentence}")
        if as_json:
            write_json(None)
        return
    if not preview.more:  # else it is refused, with the sentence that says why
        _confirm(preview, yes)

    async def start(client: Client) -> BackfillView:
        return await client.start_backfill(
            preview.schedule,
            preview.since,
            preview.until,
            missed_only=missed_only,
            again=again,
            parallel=parallel,
            reason=reason,
            expect=preview.found,
        )

    order = ask(invocation, start)
    try:
        order = ask(invocation, lambda client: _watch(client, order))
    except KeyboardInterrupt:
        click.echo(err=True)
        remark(f"back-fill {order.id} goes on; `sereno backfills --cancel {order.id}` stops it")
        raise click.exceptions.Exit(INTERRUPTED) from None
    _write_end(order, as_json)


def _confirm(preview: BackfillPreview, yes: bool) -> None:
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


def _write_end(order: BackfillView, as_json: bool) -> None:
    if as_json:
        write_json(order)
    else:
        write(f"back-fill {order.id}: {order.succeeded:,} of {order.queued:,} runs succeeded")
    if order.state != "done":
        by = order.cancelled_by
        complain(f"back-fill {order.id} is {order.state}: {f'by {by}' if by else order.error}")
    elif order.failed:
        job = order.job
        first = f", the first of them: {order.error}" if order.error else ""
        listed = f"; `sereno runs {job} --cause backfill` lists them"
        complain(f"back-fill {order.id}: {order.failed:,} did not{first}{listed}")
    if order.state != "done" or order.failed:
        raise click.exceptions.Exit(FAILED)


async def _watch(client: Client, order: BackfillView) -> BackfillView:
    """Show how far a back-fill is until it is over; on a terminal by a bar."""
    with progress_bar() as bar:
        task = bar.add_task(f"back-fill {order.id}", total=order.expected)
        polls = 0
        while not order.over:
            await asyncio.sleep(POLL_SECONDS)
            polls += 1
            with suppress(StoreUnavailableError):
                order = await client.backfill(order.id)
                over = order.succeeded + order.failed
                of = f"back-fill {order.id} {order.state}, {over:,} of {order.expected:,} slots"
                bar.update(task, description=of, completed=over)
                if not order.over:
                    await warn_leaderless(client, bar, polls, f"back-fill {order.id} {order.state}")
    return order
