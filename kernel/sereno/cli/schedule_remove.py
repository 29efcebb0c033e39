"""``sereno schedule remove``: takes a schedule away that a person has made."""

from datetime import datetime

import click

from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation, requester
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.store import schedules
from sereno.store.pool import Database
from sereno.store.version import ends_with_it


@click.command("remove")
@click.argument("name", metavar="SCHEDULE")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the schedule.")
@as_json
@pass_invocation
def command(invocation: Invocation, name: str, reason: str, as_json: bool) -> None:
    """Remove a schedule that a person made, or whose plugin is gone. Its history stays.

    One that a plugin or the configuration declares would come back: pause that instead.
    """

    async def question(db: Database) -> tuple[str, list[datetime]]:
        return await schedules.remove(db, name, by=requester(), reason=reason)

    removed, slots = ask(invocation, question)
    if slots:
        remark(ends_with_it(slots))
    if as_json:
        write_json({"removed": removed, "ended": slots})
    else:
        write(f"schedule '{removed}' is removed; its history is kept")
