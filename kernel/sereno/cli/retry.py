"""``sereno retry``: queues a finished run again, or many."""

from datetime import timedelta
from typing import Any

import click

from sereno.cli.bulk_follower import bulk_options, change_many, is_bulk
from sereno.cli.chain_page import follow_chain
from sereno.cli.invocation import Invocation
from sereno.cli.options import RUN, as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.params import read_some
from sereno.cli.query import ask
from sereno.cli.run_filter import filter_options
from sereno.cli.run_follower import check_waiting, follow, waiting_options
from sereno.client import Client, RunDetail


@click.command("retry")
@click.argument("run", type=RUN, required=False)
@filter_options(param="Of RUN: a secret param, which was not kept. Else: only with this param.")
@click.option(
    "--chain", is_flag=True, help="What failed of RUN's chain; what succeeded is not run."
)
@bulk_options
@waiting_options
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    /,
    run: int | None,
    chain: bool,
    reason: str | None,
    yes: bool,
    wait: bool,
    timeout: timedelta | None,
    reveal: bool,
    as_json: bool,
    **narrowed: Any,
) -> None:
    """Queue a finished run again, as a new run of the same slot, with all that it was given.

    Without RUN: every run that failed, timed out or was lost (or of the states that are said) and
    is as the options say, once that is confirmed. Exit code 1 when the run is not over yet.
    """
    check_waiting(wait, timeout)
    if chain and (run is None or narrowed["pairs"]):
        raise click.UsageError("--chain is of one run, and takes no -p; name it")
    if is_bulk(run, narrowed, beside=("pairs",)):
        if wait:
            raise click.UsageError("--wait is for one run; many are followed until all are queued")
        change_many(invocation, "retry", narrowed, reason, yes=yes, as_json=as_json)
        return
    if reason is not None:
        raise click.UsageError("--reason is for many runs: one that is queued again keeps none")
    assert run is not None  # noqa: S101 - is_bulk has told
    if chain:
        _again_chain(invocation, run, timeout, wait=wait, as_json=as_json)
        return
    new = _again(invocation, run, narrowed["pairs"])
    if wait:
        follow(invocation, new.id, timeout, reveal=reveal, as_json=as_json)
    elif as_json:
        write_json({**new.facts(), "again": run})
    else:
        write(f"run {new.id} of job '{new.job}' is queued, with the params of run {run}")


def _again_chain(
    invocation: Invocation, run: int, timeout: timedelta | None, *, wait: bool, as_json: bool
) -> None:
    found = ask(invocation, lambda client: client.retry_chain(run))
    if wait:
        follow_chain(invocation, run, timeout, whole=True, as_json=as_json)
    elif as_json:
        write_json({"run": run, "steps": found.steps, "children": found.children})
    else:
        for old, new in found.steps.items():
            write(f"run {new} is queued, with the params of run {old}")
        if found.children:
            write(f"{found.children:,} runs of fan-outs are queued again")
        write(f"`sereno show {run} --chain` tells of them")


def _again(invocation: Invocation, run: int, pairs: tuple[str, ...]) -> RunDetail:
    async def question(client: Client) -> RunDetail:
        old = await client.run(run, lines=0)
        given = read_some(pairs, invocation.registry.jobs.get(old.job) if pairs else None)
        return await client.run(await client.retry(run, params=given), lines=0)

    return ask(invocation, question)
