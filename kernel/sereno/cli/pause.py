"""``sereno pause``: stops a schedule from firing, until it is resumed."""

from datetime import datetime

import click

from sereno.cli.failure import remark
from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import as_json, pass_invocation, requester
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.store import schedules, views
from sereno.store.pool import Database


@click.command("pause")
@click.argument("name", metavar="JOB|SCHEDULE")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the schedule.")
@click.option("--until", metavar="TIME", help="When to resume: 2026-03-01T08:00, 08:00 or +2h.")
@as_json
@pass_invocation
def command(
    invocation: Invocation, name: str, reason: str, until: str | None, as_json: bool
) -> None:
    """Pause a schedule, or all schedules of a job. Runs by hand go on working.

    Its slots are recorded as skipped meanwhile.
    """

    async def question(db: Database) -> tuple[list[str], datetime | None, list[str]]:
        end = None if until is None else read_instant(until, await db.fetchval("watch"))
        paused = await schedules.pause(db, name, by=requester(), reason=reason, until=end)
        others = [s.name for s in await views.schedules(db, name) if s.state == "active"]
        return paused, end, others

    paused, end, others = ask(invocation, question)
    if others:
        remark(f"of the job '{name}' these go on: {', '.join(others)}; pause them by their names")
    if as_json:
        write_json({"paused": paused, "until": end})
        return
    until_when = f" until {exact(end)}" if end else f"; `sereno resume {name}` resumes it"
    for schedule in paused:
        write(f"schedule '{schedule}' is paused{until_when}")
    if not paused:
        write(f"'{name}' was paused already, nothing was changed")
