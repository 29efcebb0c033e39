"""``sereno retry``: queues a finished run again."""

from datetime import timedelta

import click

from sereno.cli.failure import FAILED, complain
from sereno.cli.invocation import Invocation
from sereno.cli.options import RUN, as_json, pass_invocation, requester
from sereno.cli.output import write, write_json
from sereno.cli.params import read_some
from sereno.cli.query import ask
from sereno.cli.run_follower import check_waiting, follow, waiting_options
from sereno.store import queue, views
from sereno.store.pool import Database
from sereno.store.views import RunDetail


@click.command("retry")
@click.argument("run", type=RUN)
@click.option(
    "-p",
    "--param",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    help="A secret param, which was not kept; repeat.",
)
@waiting_options
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    run: int,
    pairs: tuple[str, ...],
    wait: bool,
    timeout: timedelta | None,
    reveal: bool,
    as_json: bool,
) -> None:
    """Queue a finished run again, as a new run of the same slot, with all that it was given.

    Exit code 1 when the run is not over yet.
    """

    check_waiting(wait, timeout)

    async def question(db: Database) -> tuple[RunDetail, RunDetail | None]:
        old = await views.run(db, run, lines=0)
        by = f"{requester()}, run {run} again"
        given = read_some(pairs, invocation.registry.jobs.get(old.job) if pairs else None)
        new = await queue.repeat(db, run, requested_by=by, params=given)
        return old, None if new is None else await views.run(db, new, lines=0)

    old, new = ask(invocation, question)
    if new is None:
        complain(f"run {run} is {old.state}; only a finished run can be queued again")
        raise click.exceptions.Exit(FAILED)
    if wait:
        follow(invocation, new.id, timeout, reveal=reveal, as_json=as_json)
    elif as_json:
        write_json({**new.facts(), "again": run})
    else:
        write(f"run {new.id} of job '{old.job}' is queued, with the params of run {run}")
