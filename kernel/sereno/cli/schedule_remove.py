"""``sereno schedule remove``: takes a schedule away that a person has made."""

import click

from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask


@click.command("remove")
@click.argument("name", metavar="SCHEDULE")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the schedule.")
@as_json
@pass_invocation
def command(invocation: Invocation, name: str, reason: str, as_json: bool) -> None:
    """Remove a schedule that a person made, or whose plugin is gone. Its history stays.

    One that a plugin or the configuration declares would come back: pause that instead.
    """

    found = ask(invocation, lambda client: client.remove_schedule(name, reason=reason))
    if found.ended:
        remark(found.remark)
    if as_json:
        write_json({"removed": found.schedule, "ended": found.ended})
    else:
        write(f"schedule '{found.schedule}' is removed; its history is kept")
