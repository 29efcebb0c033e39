"""``sereno pause JOB``: stops schedules from firing, until they are resumed."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from sereno.cli.failure import remark
from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.client import Client, Paused
from sereno.model.errors import NotFoundError

F = TypeVar("F", bound=Callable[..., Any])


def choice(function: F) -> F:
    """Give `function` what says which schedules are meant."""
    name = click.argument("name", metavar="[JOB|SCHEDULE|PATTERN]", required=False)
    plugin = click.option("--plugin", metavar="NAME", help="Those of this plugin's jobs.")
    everything = click.option("--all", "everything", is_flag=True, help="All schedules.")
    return name(plugin(everything(function)))


def check_choice(name: str | None, plugin: str | None, everything: bool) -> None:
    """Raise click.UsageError unless one thing says what is meant."""
    if sum((name is not None, plugin is not None, everything)) != 1:
        raise click.UsageError(
            "name a job, a schedule or a pattern as 'etl.*', or say --plugin NAME, or --all"
        )


@click.command("pause")
@choice
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the schedule.")
@click.option("--until", metavar="TIME", help="When to resume: 2026-03-01T08:00, 08:00 or +2h.")
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    name: str | None,
    plugin: str | None,
    everything: bool,
    reason: str,
    until: str | None,
    as_json: bool,
) -> None:
    """Pause a schedule, all of a job, those like 'etl.*', of a plugin, or all.

    Their slots are recorded as skipped meanwhile. Runs by hand go on working.
    """
    check_choice(name, plugin, everything)

    async def question(client: Client) -> tuple[Paused, list[str]]:
        end = None if until is None else read_instant(until, await client.now())
        found = await client.pause(
            name, plugin=plugin, everything=everything, until=end, reason=reason
        )
        return found, await _active(client, name)

    found, others = ask(invocation, question)
    if others:
        remark(f"of the job '{name}' these go on: {', '.join(others)}; pause them by their names")
    if as_json:
        write_json({"paused": found.paused, "until": found.until})
        return
    _write(found, name or (f"--plugin {plugin}" if plugin else "--all"))


async def _active(client: Client, name: str | None) -> list[str]:
    try:
        found = [] if name is None else await client.schedules(name)
    except NotFoundError:
        found = []
    return [s.name for s in found if s.state == "active"]


def _write(found: Paused, name: str) -> None:
    end: datetime | None = found.until
    until_when = f" until {exact(end)}" if end else f"; `sereno resume {name}` resumes it"
    for schedule in found.paused:
        write(f"schedule '{schedule}' is paused{until_when}")
    if not found.paused:
        write(f"'{name}' was paused already, nothing was changed")
