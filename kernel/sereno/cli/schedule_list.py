"""``sereno schedule list``: every schedule, whoever made it."""

from datetime import datetime

import click
import msgspec
from rich.text import Text

from sereno.cli.invocation import Invocation
from sereno.cli.moments import distance, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import word, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.client import Client, ScheduleView
from sereno.settings import hidden

_COLUMNS = (
    TableColumn("schedule"),
    TableColumn("job", drop=1),
    TableColumn("made by"),
    TableColumn("trigger", grows=True),
    TableColumn("state"),
    TableColumn("next slot"),
    TableColumn("in", drop=2),
    TableColumn("params", drop=3, cut=True),
)


@click.command("list")
@click.option("--job", metavar="JOB", help="Only those of this job, or of those like 'etl.*'.")
@as_json
@pass_invocation
def command(invocation: Invocation, job: str | None, as_json: bool) -> None:
    """List the schedules: who made them, when they are due, what was changed."""

    async def question(client: Client) -> tuple[list[ScheduleView], datetime]:
        return await client.schedules(job), await client.now()

    found, now = ask(invocation, question)
    if as_json:
        write_json(found)
        return
    none = "no schedule is known to this database yet; `sereno run` brings them"
    if job is not None:
        none = f"job '{job}' has no schedule; `sereno schedule add {job} 'every 6h'` makes one"
    write_table(_COLUMNS, (_row(s, now) for s in found), none)


def _row(schedule: ScheduleView, now: datetime) -> list[Cell]:
    definition = schedule.definition
    changed = " (changed)" if schedule.overridden else ""
    active = schedule.state == "active"
    return [
        schedule.name,
        schedule.job,
        Text(_MAKERS.get(schedule.origin, schedule.origin) + changed),
        schedule.written or definition.trigger,
        word(schedule.state),
        moment(schedule.next_slot if active else None, now),
        distance(schedule.next_slot if active else None, now),
        msgspec.json.encode(hidden("params", definition.params)).decode(),
    ]


_MAKERS = {"config": "configuration", "user": "person"}
