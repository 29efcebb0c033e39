"""``sereno cancel``: stops a run."""

import click

from sereno.cli.failure import FAILED, complain
from sereno.cli.invocation import Invocation
from sereno.cli.options import RUN, as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.client import Cancellation, Client, RunDetail


@click.command("cancel")
@click.argument("run", type=RUN)
@click.option("--reason", metavar="TEXT", help="Why; kept with the run.")
@as_json
@pass_invocation
def command(invocation: Invocation, run: int, reason: str | None, as_json: bool) -> None:
    """Stop a run: a queued one at once, a running one as soon as its job looks.

    Exit code 1 when it is over already.
    """

    async def question(client: Client) -> tuple[Cancellation, RunDetail]:
        return await client.cancel(run, reason=reason), await client.run(run, lines=0)

    asked, found = ask(invocation, question)
    state = asked.state
    if as_json:
        write_json({**found.facts(), "asked": state == "running"})
    elif state == "cancelled":
        write(f"run {run} is cancelled")
    elif state == "running":
        write(f"run {run} is asked to stop; `sereno show {run}` tells when it has")
    if state not in ("cancelled", "running"):
        complain(f"run {run} is over already: {state}")
        raise click.exceptions.Exit(FAILED)
