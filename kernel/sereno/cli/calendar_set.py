"""``sereno calendar set``: changes the days of a calendar, seen before."""

import click

from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.client import CalendarChanged, Client, MovedSlots
from sereno.client.calendar_verbs import with_more

_SHOWN = 5


@click.command("set")
@click.argument("name")
@click.argument("days", nargs=-1, metavar="DAY...")
@click.option("--add", "more", multiple=True, metavar="DAY", help="One more day; repeat.")
@click.option("--drop", "less", multiple=True, metavar="DAY", help="One day less; repeat.")
@click.option("--preview", is_flag=True, help="Say which slots would move, and change nothing.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the trail.")
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    name: str,
    days: tuple[str, ...],
    more: tuple[str, ...],
    less: tuple[str, ...],
    preview: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Make a calendar of DAYs, or change one: sereno calendar set madrid 01-01 12-25 easter-2

    A DAY is 2026-12-25, 2026-12-24..2027-01-06, 12-25 (each year), easter-2, or sat.
    """
    if bool(days) == bool(more or less):
        raise click.UsageError("name all of its days, or what is to be changed by --add and --drop")

    async def chosen(client: Client) -> list[str]:
        return list(days) or await _changed_days(client, name, more, less)

    async def moved(client: Client) -> list[MovedSlots]:
        return await client.preview_calendar(name, await chosen(client))

    async def changed(client: Client) -> CalendarChanged:
        return await client.set_calendar(name, await chosen(client), reason=reason)

    if preview:
        found = ask(invocation, moved)
        if as_json:
            write_json(found)
        else:
            _write_moved(name, found)
        return
    done = ask(invocation, changed)
    if as_json:
        write_json(done)
    else:
        who = ", ".join(done.schedules) or "no schedule follows it yet"
        write(f"calendar '{name}' is set: {who}", wrap=True)


async def _changed_days(
    client: Client, name: str, more: tuple[str, ...], less: tuple[str, ...]
) -> list[str]:
    known = {view.name: view.days for view in await client.calendars()}
    if name not in known and less:
        await client.calendar(name)  # says that there is none
    return with_more(name, known.get(name, ()), more, less)


def _write_moved(name: str, found: list[MovedSlots]) -> None:
    if not found:
        write(f"no schedule follows calendar '{name}'")
    for one in found:
        if not one.lost and not one.gained:
            write(f"schedule '{one.schedule}': no slot moves")
        for word, slots in (("would not run", one.lost), ("would run", one.gained)):
            more = f" and {len(slots) - _SHOWN} more" if len(slots) > _SHOWN else ""
            if slots:
                shown = ", ".join(map(exact, slots[:_SHOWN]))
                write(f"schedule '{one.schedule}' {word}: {shown}{more}", wrap=True)
