"""``sereno runs``: the runs, the newest first."""

from typing import cast

import click
from rich.text import Text

from sereno.cli.invocation import Invocation
from sereno.cli.moments import ended, lasting, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import styled, word, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.model.run import RunState
from sereno.model.text import visible
from sereno.store import search, views
from sereno.store.filters import RunFilter
from sereno.store.pool import Database
from sereno.store.views import LeaderView, RunView

STATES = ("queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost")
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
@click.argument("only", metavar="[JOB]", required=False)
@click.option("--job", metavar="JOB", help="The same as the argument.")
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, help="Only these states."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    only: str | None,
    job: str | None,
    states: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """List the runs, the newest first: all, or those of JOB."""
    if only is not None and job not in (None, only):
        raise click.UsageError(f"'{only}' and --job {job} are two jobs; name one")
    job = job if only is None else only

    async def question(db: Database) -> tuple[list[RunView], LeaderView]:
        wanted = RunFilter(job=job, states=cast(tuple[RunState, ...], states))
        page = await search.runs(db, wanted, limit=limit)
        found = [*page.items]
        while len(found) < limit and page.older is not None:
            page = await search.runs(db, wanted, limit=limit - len(found), at=page.older)
            found += page.items
        return found, await views.leader(db)

    found, leader = ask(invocation, question)
    if as_json:
        write_json([run.facts() for run in found])
        return
    write_table(_COLUMNS, [_row(run, leader) for run in found], _none(job, states))


def _none(job: str | None, states: tuple[str, ...]) -> str:
    of_job = f" of job '{job}'" if job else ""
    if states:
        return f"no run{of_job} is {' or '.join(states)}"
    return (
        f"no run{of_job} is kept"
        if job
        else "there is no run yet; `sereno trigger JOB` asks for one"
    )


def _row(run: RunView, leader: LeaderView) -> list[Cell]:
    now = leader.now
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
