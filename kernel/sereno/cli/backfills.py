"""``sereno backfills``: the back-fills, the newest first."""

from datetime import datetime

import click

from sereno.cli.invocation import Invocation
from sereno.cli.moments import ended, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import word, write, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.client import BackfillView, Client
from sereno.model.text import visible
from sereno.observe.complaint import FAILED, complain

_COLUMNS = (
    TableColumn("back-fill", right=True),
    TableColumn("schedule"),
    TableColumn("state"),
    TableColumn("of", right=True),
    TableColumn("queued", right=True, drop=3),
    TableColumn("succeeded", right=True),
    TableColumn("failed", right=True, drop=4),
    TableColumn("at"),
    TableColumn("by", drop=1),
    TableColumn("reason", cut=True, drop=2),
)


@click.command("backfills")
@click.option("--cancel", type=click.IntRange(min=1), metavar="BACKFILL", help="Stop this one.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@pass_invocation
def command(invocation: Invocation, cancel: int | None, limit: int, as_json: bool) -> None:
    """List the back-fills, the newest first; or stop one half way.

    Runs of it that wait are cancelled, those under way go on. Exit code 1 when the one to be
    stopped is over already.
    """
    if cancel is not None:
        _stop(invocation, cancel, as_json)
        return

    async def question(client: Client) -> tuple[list[BackfillView], datetime]:
        return await client.backfills(limit=limit), await client.now()

    found, now = ask(invocation, question)
    if as_json:
        write_json(found)
        return
    none = "there is no back-fill; `sereno backfill` makes one"
    write_table(_COLUMNS, [_row(one, now) for one in found], none)


def _stop(invocation: Invocation, number: int, as_json: bool) -> None:
    async def question(client: Client) -> tuple[BackfillView, BackfillView]:
        return await client.backfill(number), await client.cancel_backfill(number)

    before, found = ask(invocation, question)
    if as_json:
        write_json(found)
    elif found.state == "cancelled" and not before.over:
        write(f"back-fill {number} is cancelled; it had queued {found.queued:,} runs")
    if before.over or found.state != "cancelled":
        complain(f"back-fill {number} is over already: {found.state}")
        raise click.exceptions.Exit(FAILED)


def _row(one: BackfillView, now: datetime) -> list[Cell]:
    return [
        str(one.id),
        visible(one.schedule),
        word(one.state),
        f"{one.expected:,}",
        f"{one.queued:,}",
        f"{one.succeeded:,}",
        f"{one.failed:,}",
        moment(one.created_at, now),
        visible(one.requested_by),
        ended(visible(one.reason)),
    ]
