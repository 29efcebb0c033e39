"""``sereno drain``: has a replica take no part."""

from datetime import timedelta

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import DURATION, as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask


@click.command("drain")
@click.argument("node", metavar="NODE")
@click.option("--undo", is_flag=True, help="Let it take part again.")
@click.option(
    "--timeout",
    type=DURATION,
    default="0s",
    show_default=True,
    metavar="DURATION",
    help="Wait so long for its runs.",
)
@as_json
@pass_invocation
def command(
    invocation: Invocation, node: str, undo: bool, timeout: timedelta, as_json: bool
) -> None:
    """Have a replica give the lead up and not take it again; its runs go on.

    NODE: its label, or its id's beginning. It is forgotten when that process ends. Exit code 1
    when runs are left after --timeout.
    """
    found = ask(invocation, lambda client: client.drain(node, undo=undo, timeout=timeout))
    if as_json:
        write_json(found)
    elif undo:
        write(f"'{found.label}' takes part again")
    else:
        runs = "1 run of it goes" if found.running == 1 else f"{found.running} runs of it go"
        left = f"; {runs} on" if found.running else ", and works on no run"
        write(f"'{found.label}' is drained{left}")
