"""``sereno cancel``: stops a run, or many."""

from typing import Any

import click

from sereno.cli.bulk_follower import bulk_options, change_many, is_bulk
from sereno.cli.invocation import Invocation
from sereno.cli.options import RUN, as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.cli.run_filter import filter_options
from sereno.client import Cancellation, Client, RunDetail
from sereno.observe.complaint import FAILED, complain


@click.command("cancel")
@click.argument("run", type=RUN, required=False)
@filter_options()
@click.option(
    "--chain", is_flag=True, help="And what RUN came from, led to, and what is to follow."
)
@bulk_options
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    /,
    run: int | None,
    chain: bool,
    reason: str | None,
    yes: bool,
    as_json: bool,
    **narrowed: Any,
) -> None:
    """Stop a run: a queued one at once, a running one as soon as its job looks.

    Without RUN: every run that waits or is under way and is as the options say, once that is
    confirmed. Exit code 1 when the run is over already.
    """
    if chain and run is None:
        raise click.UsageError("--chain is of one run; name it")
    if is_bulk(run, narrowed):
        change_many(invocation, "cancel", narrowed, reason, yes=yes, as_json=as_json)
    elif chain and run is not None:
        _cancel_chain(invocation, run, reason, as_json)
    elif run is not None:
        _cancel(invocation, run, reason, as_json)


def _cancel_chain(invocation: Invocation, run: int, reason: str | None, as_json: bool) -> None:
    found = ask(invocation, lambda client: client.cancel_chain(run, reason=reason))
    if as_json:
        write_json({"run": found.run_id, "cancelled": found.cancelled, "asked": found.asked})
        return
    write(
        f"the chain of run {run} is cancelled: {found.cancelled:,} runs that waited, and "
        f"{found.asked:,} under way are asked to stop; nothing follows"
    )


def _cancel(invocation: Invocation, run: int, reason: str | None, as_json: bool) -> None:
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
