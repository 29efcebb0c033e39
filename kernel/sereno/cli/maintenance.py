"""``sereno maintenance``: has all replicas rest, with a reason."""

from datetime import timedelta

import click

from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact, moment
from sereno.cli.options import DURATION, as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.client import Client, Maintenance


@click.group("maintenance")
def command() -> None:
    """Have all replicas rest: nobody leads, nothing begins, runs under way go on."""


@click.command("on")
@click.option("--reason", required=True, metavar="TEXT", help="Why; everybody will ask.")
@click.option("--until", metavar="TIME", help="When it ends by itself.")
@click.option("--for", "lasts", type=DURATION, metavar="DURATION", help="How long it lasts.")
@as_json
@pass_invocation
def _on(
    invocation: Invocation, reason: str, until: str | None, lasts: timedelta | None, as_json: bool
) -> None:
    """Begin, and wait until nobody leads."""
    if until is not None and lasts is not None:
        raise click.UsageError("--until and --for are both given; name one")

    async def question(client: Client) -> Maintenance:
        now = await client.now()
        end = read_instant(until, now) if until is not None else None
        return await client.begin_maintenance(
            reason=reason, until=now + lasts if lasts is not None else end
        )

    found = ask(invocation, question)
    if as_json:
        write_json(found)
        return
    ends = "`sereno maintenance off`" if found.until is None else exact(found.until)
    write(f"nobody leads, nothing begins until {ends}; runs under way go on", wrap=True)


@click.command("off")
@as_json
@pass_invocation
def _off(invocation: Invocation, as_json: bool) -> None:
    """End it; what was due meanwhile is settled as after an outage."""
    ask(invocation, lambda client: client.end_maintenance())
    if as_json:
        write_json({"maintenance": None})
    else:
        write("maintenance is over, a replica leads within a second")


@click.command("show")
@as_json
@pass_invocation
def _show(invocation: Invocation, as_json: bool) -> None:
    """Say whether it is on, and what waits."""

    async def question(client: Client) -> tuple[Maintenance | None, int, int]:
        totals = await client.totals()
        return await client.maintenance(), totals.queued, totals.running

    found, queued, running = ask(invocation, question)
    if as_json:
        write_json({"maintenance": found, "queued": queued, "running": running})
        return
    write(headline(found) if found else "no maintenance is on")
    write(f"{queued} runs wait, {running} are under way")


def headline(found: Maintenance) -> str:
    """Return who has everybody rest, since when, until when and why."""
    until = "" if found.until is None else f" until {moment(found.until, found.now)}"
    since = moment(found.begun_at, found.now)
    return f"maintenance since {since}{until}, by {found.begun_by}: {found.reason}"


for _part in (_on, _off, _show):
    command.add_command(_part)
