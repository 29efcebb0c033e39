"""``sereno blackout``: spans in which slots do not run, with a reason."""

from datetime import timedelta

import click

from sereno.cli.failure import remark
from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import DURATION, as_json, global_parameters, pass_invocation
from sereno.cli.output import word, write, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.client import BlackoutView, Client

_COLUMNS = (
    TableColumn("blackout", right=True),
    TableColumn("state"),
    TableColumn("schedules", grows=True),
    TableColumn("from"),
    TableColumn("until"),
    TableColumn("reason", grows=True),
    TableColumn("made by", drop=1),
)


@click.group("blackout")
def command() -> None:
    """Have no slot run for a while: list, add and end blackouts."""


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@as_json
@pass_invocation
def _list(invocation: Invocation, everything: bool, as_json: bool) -> None:
    """List the blackouts that are on or to come."""
    found: list[BlackoutView] = ask(
        invocation, lambda client: client.blackouts(everything=everything)
    )
    if as_json:
        write_json(found)
        return
    rows: list[list[Cell]] = [
        [str(b.id), word(b.state), meant(b), exact(b.starts_at), exact(b.ends_at), b.reason,
         b.made_by]
        for b in found
    ]  # fmt: skip
    write_table(_COLUMNS, rows, "no blackout is on or to come")


def meant(blackout: BlackoutView) -> str:
    """Return of which schedules a blackout is."""
    if blackout.plugin is not None:
        return f"plugin {blackout.plugin}"
    return "all" if blackout.pattern == "*" else blackout.pattern


@click.command("add")
@click.argument("pattern", metavar="[JOB|SCHEDULE|PATTERN]", required=False)
@click.option("--plugin", metavar="NAME", help="All jobs of this plugin.")
@click.option("--all", "everything", is_flag=True, help="All schedules.")
@click.option("--from", "start", metavar="TIME", help="2026-03-01T22:00 or +2h. [default: now]")
@click.option("--until", metavar="TIME", help="Until when.")
@click.option("--for", "lasts", type=DURATION, metavar="DURATION", help="How long: 2h.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; each slot says so.")
@as_json
@pass_invocation
def _add(
    invocation: Invocation,
    pattern: str | None,
    plugin: str | None,
    everything: bool,
    start: str | None,
    until: str | None,
    lasts: timedelta | None,
    reason: str,
    as_json: bool,
) -> None:
    """Have no slot run: sereno blackout add 'etl.*' --from 22:00 --for 2h --reason 'new disks'"""
    if sum((pattern is not None, plugin is not None, everything)) != 1:
        raise click.UsageError("say which: a name or pattern, --plugin NAME, or --all")
    if (until is None) == (lasts is None):
        raise click.UsageError("say until when: --until TIME, or --for DURATION")

    async def question(client: Client) -> tuple[BlackoutView, bool]:
        now = await client.now()
        added = await client.add_blackout(
            pattern or "*",
            plugin=plugin,
            start=None if start is None else read_instant(start, now),
            end=None if until is None else read_instant(until, now),
            lasts=lasts,
            reason=reason,
        )
        # A name that nothing has is refused; a pattern may be of what is to come, or misspelt.
        held = pattern is None or bool(await client.schedules(pattern))
        return added, held

    made, held = ask(invocation, question)
    if not held:
        remark(f"no schedule, nor a job of one, is like '{pattern}' yet: it holds those to come")
    if as_json:
        write_json(made)
    else:
        span = f"from {exact(made.starts_at)} until {exact(made.ends_at)}"
        write(f"blackout {made.id} of {meant(made)} is made, {span}", wrap=True)


@click.command("end")
@click.argument("number", type=int, metavar="BLACKOUT")
@as_json
@pass_invocation
def _end(invocation: Invocation, number: int, as_json: bool) -> None:
    """End a blackout now; one that has not begun never does."""
    ask(invocation, lambda client: client.end_blackout(number))
    if as_json:
        write_json({"blackout": number, "state": "over"})
    else:
        write(f"blackout {number} is over")


for _part in (_list, _add, _end):
    _part.params += global_parameters()
    command.add_command(_part)
