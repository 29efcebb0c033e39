"""``sereno bulks``: the changes of many runs, the newest first."""

from datetime import datetime

import click

from sereno.cli.invocation import Invocation
from sereno.cli.moments import ended, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import word, write, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.client import BulkView, Client
from sereno.model.text import visible
from sereno.observe.complaint import FAILED, complain

_COLUMNS = (
    TableColumn("bulk", right=True),
    TableColumn("action"),
    TableColumn("state"),
    TableColumn("done", right=True),
    TableColumn("failed", right=True, drop=2),
    TableColumn("matched", right=True, drop=3),
    TableColumn("at"),
    TableColumn("by", drop=1),
    TableColumn("reason", cut=True),
)


@click.command("bulks")
@click.option("--cancel", type=click.IntRange(min=1), metavar="BULK", help="Stop this one.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@pass_invocation
def command(invocation: Invocation, cancel: int | None, limit: int, as_json: bool) -> None:
    """List the changes of many runs, the newest first; or stop one half way.

    What a bulk has changed stays so. Exit code 1 when the one to be stopped is over already.
    """
    if cancel is not None:
        _stop(invocation, cancel, as_json)
        return

    async def question(client: Client) -> tuple[list[BulkView], datetime]:
        return await client.bulks(limit=limit), await client.now()

    found, now = ask(invocation, question)
    if as_json:
        write_json(found)
        return
    none = "there is no bulk; `sereno cancel` and `sereno retry` with a filter make one"
    write_table(_COLUMNS, [_row(bulk, now) for bulk in found], none)


def _stop(invocation: Invocation, number: int, as_json: bool) -> None:
    async def question(client: Client) -> tuple[BulkView, BulkView]:
        return await client.bulk(number), await client.cancel_bulk(number)

    before, found = ask(invocation, question)
    if as_json:
        write_json(found)
    elif found.state == "cancelled" and not before.over:
        write(f"bulk {number} is cancelled; {found.done:,} runs were changed before, and stay so")
    if before.over or found.state != "cancelled":
        complain(f"bulk {number} is over already: {found.state}")
        raise click.exceptions.Exit(FAILED)


def _row(bulk: BulkView, now: datetime) -> list[Cell]:
    return [
        str(bulk.id),
        bulk.action,
        word(bulk.state),
        f"{bulk.done:,}",
        f"{bulk.failed:,}",
        f"{bulk.matched:,}",
        moment(bulk.frozen_at, now),
        visible(bulk.requested_by),
        ended(visible(bulk.reason)),
    ]
