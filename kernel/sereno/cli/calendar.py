"""``sereno calendar``: days that schedules share, such as holidays."""

import click
from rich.text import Text

from sereno.cli import calendar_set
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import as_json, global_parameters, pass_invocation
from sereno.cli.output import write, write_facts, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import TableColumn
from sereno.client import CalendarChanged, CalendarView, Client

_COLUMNS = (
    TableColumn("calendar"),
    TableColumn("days", right=True),
    TableColumn("followed by", grows=True),
    TableColumn("changed by", drop=1),
    TableColumn("changed at", drop=2),
)


@click.group("calendar")
def command() -> None:
    """List, show, set and remove the calendars that schedules share."""


@click.command("list")
@as_json
@pass_invocation
def _list(invocation: Invocation, as_json: bool) -> None:
    """List the calendars, and the schedules that follow them."""
    found: list[CalendarView] = ask(invocation, lambda client: client.calendars())
    if as_json:
        write_json(found)
        return
    rows = [
        [c.name, str(len(c.days)), ", ".join(c.schedules), c.changed_by, exact(c.changed_at)]
        for c in found
    ]
    write_table(_COLUMNS, rows, "there is no calendar; `sereno calendar set NAME DAY...` makes one")


@click.command("show")
@click.argument("name")
@as_json
@pass_invocation
def _show(invocation: Invocation, name: str, as_json: bool) -> None:
    """Print the days of a calendar."""
    found: CalendarView = ask(invocation, lambda client: client.calendar(name))
    if as_json:
        write_json(found)
        return
    write(Text(f"calendar '{found.name}'", style="bold"))
    write_facts(
        [
            ("followed by", ", ".join(found.schedules) or "no schedule"),
            ("changed", f"{exact(found.changed_at)} by {found.changed_by}"),
            ("reason", found.reason or None),
            ("in the settings", None if found.declared is None else " ".join(found.declared)),
        ]
    )
    for day in found.days:
        write(day)


@click.command("remove")
@click.argument("name")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the trail.")
@as_json
@pass_invocation
def _remove(invocation: Invocation, name: str, reason: str, as_json: bool) -> None:
    """Take away what people have said of a calendar: the settings' days hold again, or none."""

    async def question(client: Client) -> tuple[CalendarChanged, bool]:
        changed = await client.remove_calendar(name, reason=reason)
        return changed, name in {view.name for view in await client.calendars()}

    changed, stays = ask(invocation, question)
    if as_json:
        write_json(changed)
    elif stays:
        write(f"calendar '{name}' is as the settings have it")
    else:
        write(f"calendar '{name}' is removed")


for _part in (_list, _show, calendar_set.command, _remove):
    _part.params += global_parameters()
    command.add_command(_part)
