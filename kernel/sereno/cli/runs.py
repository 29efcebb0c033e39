"""``sereno runs``: the runs, the newest first."""

from datetime import datetime
from typing import Any

import click
from rich.text import Text

from sereno.cli.invocation import Invocation
from sereno.cli.moments import ended, exact, lasting, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import styled, word, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.run_filter import filter_options, run_filter
from sereno.cli.table import Cell, TableColumn
from sereno.client import Client, RunFilter, RunView
from sereno.model.text import visible

_COLUMNS = (
    TableColumn("run", right=True),
    TableColumn("job"),
    TableColumn("state"),
    TableColumn("cause", drop=1),
    TableColumn("slot", drop=3),
    TableColumn("started"),
    TableColumn("took", right=True),
    TableColumn("try", right=True, drop=4),
    TableColumn("node", drop=2),
    TableColumn("remark", cut=True),
)


@click.command("runs")
@click.argument("only", metavar="[JOB|PATTERN]", required=False)
@filter_options(job="The same as the argument.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    /,
    only: str | None,
    job: str | None,
    limit: int,
    as_json: bool,
    **narrowed: Any,
) -> None:
    """List the runs, the newest first: all, or those of JOB, or of jobs like 'etl.*'."""
    if only is not None and job not in (None, only):
        raise click.UsageError(f"'{only}' and --job {job} are two jobs; name one")
    job = job if only is None else only

    async def question(client: Client) -> tuple[list[RunView], datetime]:
        now = await client.now()
        wanted = run_filter(now, job=job, **narrowed)
        return await _first(client, wanted, limit), now

    found, now = ask(invocation, question)
    if as_json:
        write_json([run.facts() for run in found])
        return
    narrow = any(v for k, v in narrowed.items() if k != "states")
    none = "no run is so" if narrow else _none(job, narrowed["states"])
    write_table(_COLUMNS, [_row(run, now) for run in found], none)


async def _first(client: Client, wanted: RunFilter, limit: int) -> list[RunView]:
    """Return the newest `limit` runs, however far back they are."""
    page = await client.runs(wanted, limit=limit)
    found = [*page.items]
    while len(found) < limit and page.older is not None:
        page = await client.runs(wanted, limit=limit, cursor=page.older)
        found += page.items
    return found[:limit]


def _none(job: str | None, states: tuple[str, ...]) -> str:
    of_job = f" of job '{job}'" if job else ""
    if states:
        return f"no run{of_job} is {' or '.join(states)}"
    return (
        f"no run{of_job} is kept"
        if job
        else "there is no run yet; `sereno trigger JOB` asks for one"
    )


def _row(run: RunView, now: datetime) -> list[Cell]:
    took = None if run.started_at is None else (run.finished_at or now) - run.started_at
    waits = run.state == "queued"
    return [
        str(run.id),
        run.job,
        word(run.state),
        run.cause,
        moment(run.slot, now),
        f"at {moment(run.run_at, now)}" if waits else moment(run.started_at, now),
        "-" if waits else lasting(took),
        str(run.attempt or "-"),
        run.node or "-",
        remark(run),
    ]


def remark(run: RunView) -> Text:
    """Return what is worth a word: progress while it runs, the error when it failed, and else how
    often it has warned."""
    if run.stalled_since is not None:
        said = progress(run)
        silent = f"silent since {exact(run.stalled_since)}"
        return styled(f"{silent}: {said}" if said else silent, "yellow")
    if run.state == "running":
        return styled(progress(run), "cyan")
    if run.error:
        return styled(ended(visible(run.error)), "" if run.state == "cancelled" else "red")
    if run.warnings:
        return styled(f"{run.warnings:,} warning{'s' * (run.warnings > 1)}", "yellow")
    return Text("")


def progress(run: RunView) -> str:
    """Return how far `run` is: ``40% (400 of 1,000) reading``."""
    if run.done is None:
        return run.note or ""
    words = f"{run.done:,g}"
    if run.total:
        words = f"{min(run.done / run.total, 1):.0%} ({run.done:,g} of {run.total:,g})"
    return f"{words} {run.note or ''}".strip()
