"""``sereno verify``: proves that every slot has one verdict."""

from datetime import timedelta
from typing import Any

import click
import msgspec

from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import DURATION, as_json, pass_invocation
from sereno.cli.output import styled, title, write, write_facts, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import TableColumn
from sereno.cli.timeline import as_json as timeline_json
from sereno.cli.timeline import went_back
from sereno.client import Account
from sereno.observe.complaint import FAILED

_COLUMNS = (
    TableColumn("fault"),
    TableColumn("schedule"),
    TableColumn("slot"),
    TableColumn("what", grows=True),
)


@click.command("verify")
@click.option(
    "--since",
    type=DURATION,
    default=timedelta(days=30),
    metavar="DURATION",
    help="How far back. [default: 30d]",
)
@as_json
@pass_invocation
def command(invocation: Invocation, since: timedelta, as_json: bool) -> None:
    """Recompute what was due, and prove that no slot is lost and none doubled.

    Exit code 1 when one is; it is listed then.
    """

    account = ask(invocation, lambda client: client.verify(since))
    if as_json:
        write_json(_as_json(account))
    else:
        _print(account)
    if not account.holds:
        raise click.exceptions.Exit(FAILED)


def _print(account: Account) -> None:
    several = "s" * (account.schedules != 1)
    write(f"since {exact(account.since)}, {account.schedules} schedule{several}")
    counts = account.counts
    lost, doubled = counts["lost"], counts["doubled"]
    write(f"{account.slots:,} slots were due: {lost:,} lost, {doubled:,} doubled")
    write_facts((verdict, f"{count:,}") for verdict, count in account.verdicts.most_common())
    if account.backfilled:
        write(
            f"{account.backfilled:,} slots had a run beside their verdict: they were filled later"
        )
    if account.fan_outs:
        right = account.fan_outs - counts["fan-out"]
        write(f"{account.fan_outs:,} fan-outs: {right:,} have what follows, once")
    if account.parts:
        write(f"{account.parts:,} parts of runs that work at each host or node")
    if account.unsettled:
        write(f"{account.unsettled:,} more are due by now and wait for a leader to settle them")
    for timeline in account.timelines:
        write(went_back(timeline), wrap=True)
    for numbers in account.numbers:
        write(styled(numbers.sentence, "yellow"), wrap=True)
    if account.holds:
        forgotten = ", of what the database knows" if account.timelines else ""
        write(f"every slot has exactly one verdict{forgotten}", wrap=True)
        return
    title(f"{counts.total():,} faults" + (", the first of them" if counts.total() > 1 else ""))
    rows = [[f.kind, f.schedule, exact(f.slot), f.detail] for f in account.faults]
    write_table(_COLUMNS, rows)


def _as_json(account: Account) -> dict[str, Any]:
    timelines = [timeline_json(t) for t in account.timelines]
    return {"holds": account.holds, **msgspec.to_builtins(account), "timelines": timelines}
