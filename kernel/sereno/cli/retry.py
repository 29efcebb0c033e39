"""``sereno retry``: queues a finished run again."""

from datetime import timedelta

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import RUN, as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.params import read_some
from sereno.cli.query import ask
from sereno.cli.run_follower import check_waiting, follow, waiting_options
from sereno.client import Client, RunDetail


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

    async def question(client: Client) -> RunDetail:
        old = await client.run(run, lines=0)
        given = read_some(pairs, invocation.registry.jobs.get(old.job) if pairs else None)
        return await client.run(await client.retry(run, params=given), lines=0)

    new = ask(invocation, question)
    if wait:
        follow(invocation, new.id, timeout, reveal=reveal, as_json=as_json)
    elif as_json:
        write_json({**new.facts(), "again": run})
    else:
        write(f"run {new.id} of job '{new.job}' is queued, with the params of run {run}")
