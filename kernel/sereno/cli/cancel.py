"""``sereno cancel``: stops a run."""

import click

from sereno.cli.failure import FAILED, complain
from sereno.cli.invocation import Invocation
from sereno.cli.options import RUN, as_json, pass_invocation, requester
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.model.errors import NotFoundError
from sereno.store import runs, views
from sereno.store.pool import Database
from sereno.store.views import RunDetail


@click.command("cancel")
@click.argument("run", type=RUN)
@click.option("--reason", metavar="TEXT", help="Why; kept with the run.")
@as_json
@pass_invocation
def command(invocation: Invocation, run: int, reason: str | None, as_json: bool) -> None:
    """Stop a run: a queued one at once, a running one as soon as its job looks.

    Exit code 1 when it is over already.
    """

    async def question(db: Database) -> tuple[str | None, RunDetail | None]:
        state = await runs.request_cancel(db, run, requester(), reason)
        return state, None if state is None else await views.run(db, run, lines=0)

    state, found = ask(invocation, question)
    if state is None or found is None:
        raise NotFoundError(f"there is no run {run}; `sereno runs` lists the newest")
    if as_json:
        write_json({**found.facts(), "asked": state == "running"})
    elif state == "cancelled":
        write(f"run {run} is cancelled")
    elif state == "running":
        write(f"run {run} is asked to stop; `sereno show {run}` tells when it has")
    if state not in ("cancelled", "running"):
        complain(f"run {run} is over already: {state}")
        raise click.exceptions.Exit(FAILED)
