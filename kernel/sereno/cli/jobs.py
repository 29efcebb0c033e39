"""``sereno jobs``: what there is, when it runs next, and how it went last."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import click
import msgspec
from rich.text import Text

from sereno.cli.invocation import Invocation
from sereno.cli.moments import distance, lasting, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import styled, word, write, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.client import Client, JobView, Overdue, ScheduleView
from sereno.client.verbs import known_plugin
from sereno.model.errors import NotFoundError
from sereno.model.suggestion import suggestion

_COLUMNS = (
    TableColumn("job"),
    TableColumn("schedule", grows=True),
    TableColumn("next slot"),
    TableColumn("in", drop=2),
    TableColumn("last"),
    TableColumn("ended", drop=1),
    TableColumn("took", drop=3, right=True),
    TableColumn("plugin", drop=4),
    TableColumn("title", drop=5, cut=True),
    TableColumn("overdue by"),
)
_TITLE = 8
"""Where the title stands, which is shown where a job has one."""


@click.command("jobs")
@click.argument("name", metavar="[JOB|PATTERN]", required=False)
@click.option("--plugin", metavar="NAME", help="Only the jobs of this plugin.")
@click.option("--tag", metavar="TAG", help="Only the jobs that have this tag.")
@click.option("--all", "everything", is_flag=True, help="Also jobs that are declared no more.")
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    name: str | None,
    plugin: str | None,
    tag: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """List the jobs, those like 'etl.*' or all: schedule, next slot, last run."""

    async def question(client: Client) -> tuple[list[JobView], dict[str, Overdue]]:
        return await client.jobs(), await client.overdue()

    found, overdue = ask(invocation, question)
    if plugin is not None:
        known_plugin(plugin, {*invocation.plugins.records, *(j.plugin for j in found)})
    if name is not None:
        found = _meant(name, found)
    found = [j for j in found if (everything or j.present) and plugin in (None, j.plugin)]
    found = [j for j in found if tag is None or tag in j.tags]
    if as_json:
        write_json([_as_json(job, overdue) for job in found])
        return
    rows = [row for job in found for row in _rows(job, overdue)]
    columns: tuple[TableColumn, ...] = _COLUMNS
    if not overdue:
        rows, columns = [row[:-1] for row in rows], columns[:-1]
    if not any(job.title for job in found):
        rows = [row[:_TITLE] + row[_TITLE + 1 :] for row in rows]
        columns = columns[:_TITLE] + columns[_TITLE + 1 :]
    write_table(columns, rows, _none(plugin))
    for job in found:
        if job.name in overdue:
            write(
                styled(f"overdue: job '{job.name}', {overdue[job.name].because}", "red"), wrap=True
            )


def _meant(name: str, known: Sequence[JobView]) -> list[JobView]:
    """Return the jobs that `name` stands for; raises NotFoundError where there is none."""
    found = [job for job in known if fnmatchcase(job.name, name)]
    if not found:
        hint = suggestion(name, [job.name for job in known], "; `sereno jobs --all` lists them")
        raise NotFoundError(f"no job is '{name}'{hint}")
    return found


def _none(plugin: str | None) -> str:
    if plugin is not None:
        return f"no job of plugin '{plugin}' is in this database; `sereno plugins` tells of it"
    return "no job is known to this database yet; `sereno run` brings them"


def _as_json(job: JobView, overdue: dict[str, Overdue]) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(job, builtin_types=(timedelta, datetime))
    late = overdue.get(job.name)
    return found | {
        "overdue": timedelta(0) if late is None else late.by,
        "overdue_because": None if late is None else late.because,
    }


def _rows(job: JobView, overdue: dict[str, Overdue]) -> Iterator[list[Cell]]:
    last: list[Cell] = [
        word(job.last_state or ("running" if job.running else None)),
        moment(job.last_end_at, job.now),
        lasting(job.last_duration),
        job.plugin if job.present else styled(f"{job.plugin} (gone)", "yellow"),
        job.title,
        Text(lasting(overdue[job.name].by), style="bold red") if job.name in overdue else "",
    ]
    first: list[Cell] = [
        job.name,
        f"after {', '.join(job.after)}" if job.after else Text("by hand", style="dim"),
        "-",
        "",
    ]
    if not job.schedules:
        yield [*first, *last]
    for n, schedule in enumerate(job.schedules):
        name = Text.assemble(job.name if n == 0 else "  ", styled(_label(schedule, job), "dim"))
        yield [name, *_slot(schedule, job.now), *(last if n == 0 else [""] * len(last))]


def _label(schedule: ScheduleView, job: JobView) -> str:
    """Return what tells `schedule` from the others of its job: ``@label``, or a name of its own."""
    rest = schedule.name.removeprefix(job.name)
    return rest if not rest or rest.startswith("@") else f" {schedule.name}"


def _slot(schedule: ScheduleView, now: datetime) -> list[Cell]:
    text = schedule.written or schedule.definition.trigger
    if schedule.state != "active":
        until = moment(schedule.paused_until, now) if schedule.paused_until else ""
        return [text, word(schedule.state), f"until {until}" if until else ""]
    return [text, moment(schedule.next_slot, now), distance(schedule.next_slot, now)]
