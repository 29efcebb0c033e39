"""``sereno lead``: hands the lead to a replica."""

from datetime import timedelta

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import DURATION, as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask


@click.command("lead")
@click.option(
    "--to", "node", required=True, metavar="NODE", help="Its label, or its id's beginning."
)
@click.option("--timeout", type=DURATION, default="10s", show_default=True, metavar="DURATION")
@as_json
@pass_invocation
def command(invocation: Invocation, node: str, timeout: timedelta, as_json: bool) -> None:
    """Hand the lead to a replica, and wait until it leads; nothing is lost or doubled by it."""
    found = ask(invocation, lambda client: client.lead(node, timeout=timeout))
    if as_json:
        write_json(found)
    else:
        write(f"'{found.label}' leads, term {found.term}")
