"""A whole chain, as lines: what followed what, how each step ended and how long it took."""

from collections.abc import Iterator
from datetime import timedelta

import click
from rich.text import Text

from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.moments import lasting
from sereno.cli.output import styled, word, write, write_json
from sereno.cli.query import ask
from sereno.client import Client, FanOutView, RunChain, RunView
from sereno.model.errors import WaitTimeoutError
from sereno.model.text import visible_line
from sereno.observe.complaint import FAILED, INTERRUPTED, complain


def show_chain(invocation: Invocation, run_id: int, *, as_json: bool) -> None:
    """Print the chain of the run `run_id`."""
    found = ask(invocation, lambda client: client.chain(run_id))
    write_chain(found, as_json=as_json)


def follow_chain(
    invocation: Invocation,
    run_id: int,
    timeout: timedelta | None,
    *,
    whole: bool = False,
    as_json: bool,
) -> None:
    """Wait for the end of the chain from `run_id` on, print it, and exit 1 unless all of it
    succeeded. `whole`: with what came before. Ctrl-C ends the waiting and not the chain; so
    does `timeout`, with exit code 1."""

    async def wait(client: Client) -> RunChain:
        return await client.wait_chain(run_id, timeout=timeout, whole=whole)

    try:
        found = ask(invocation, wait)
    except KeyboardInterrupt:
        click.echo(err=True)
        remark(f"the chain goes on; `sereno cancel {run_id} --chain` stops it")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except WaitTimeoutError as error:
        write_chain(ask(invocation, lambda client: client.chain(run_id)), as_json=as_json)
        complain(str(error))
        raise click.exceptions.Exit(FAILED) from None
    write_chain(found, as_json=as_json)
    if not found.succeeded:
        raise click.exceptions.Exit(FAILED)


def write_chain(chain: RunChain, *, as_json: bool) -> None:
    """Print `chain`: each run below the one that it came from, once."""
    if as_json:
        facts = {"over": chain.over, "succeeded": chain.succeeded, "failed": chain.failed}
        runs = [one.facts() for one in chain.runs]
        write_json(
            {"run": chain.run_id, **facts, "runs": runs, "links": chain.links}
            | {"fan_outs": chain.fan_outs, "repeated": chain.repeated, "whole": chain.whole}
        )
        return
    for line in lines(chain):
        write(line)
    if not chain.whole:
        remark("there is more of it; `sereno runs` lists the runs of a job")


def lines(chain: RunChain) -> Iterator[Text]:
    """Yield the chain's lines, those that came first before those that followed."""
    runs = {one.id: one for one in chain.runs}
    below: dict[int, list[int]] = {}
    for before, after in chain.links:
        below.setdefault(before, []).append(after)
    tops = sorted(runs.keys() - {after for _, after in chain.links})
    fans: dict[int, list[FanOutView]] = {}
    for fan in chain.fan_outs:
        fans.setdefault(fan.run_id, []).append(fan)
    printed: set[int] = set()
    waiting = [(top, 0) for top in reversed(tops)]
    while waiting:
        number, depth = waiting.pop()
        if number in printed:
            continue
        printed.add(number)
        yield _line(runs[number], depth, again=number in chain.repeated)
        for fan in fans.get(number, ()):
            yield _fan_out(fan, depth + 1)
        waiting += [(n, depth + 1) for n in sorted(below.get(number, ()), reverse=True)]


def _line(run: RunView, depth: int, *, again: bool) -> Text:
    took = "" if run.took is None else f" after {lasting(run.took)}"
    error = f": {visible_line(run.error):.200}" if run.error else ""
    repeated = " (repeated below)" if again else ""
    return Text.assemble(
        f"{'  ' * depth}run {run.id} {run.job} ",
        word(run.state),
        styled(f"{took}{error}{repeated}"),
    )


def _fan_out(fan: FanOutView, depth: int) -> Text:
    done = fan.ended - fan.failed
    failed = f", {fan.failed:,} did not" if fan.failed else ""
    then = "" if fan.join_job is None else f"; then {fan.join_job}"
    if fan.cancelled_by is not None:
        then = f"; cancelled by {visible_line(fan.cancelled_by)}"
    shown = f", {len(fan.children)} shown" if len(fan.children) < fan.total else ""
    return styled(
        f"{'  ' * depth}{fan.total:,} runs of {fan.job}: {done:,} succeeded{failed}"
        f", {fan.total - fan.ended:,} to come{shown}{then}"
    )
