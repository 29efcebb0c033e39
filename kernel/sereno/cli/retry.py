"""``sereno retry``: queues a finished run again."""

import click

from sereno.cli.asking import ask
from sereno.cli.failure import FAILED, complain
from sereno.cli.invocation import Invocation
from sereno.cli.options import RUN, as_json, pass_invocation, requester
from sereno.cli.output import write, write_json
from sereno.cli.waiting import follow
from sereno.model.run import FINAL
from sereno.store import queue, views
from sereno.store.pool import Database
from sereno.store.views import RunDetail


@click.command("retry")
@click.argument("run", type=RUN)
@click.option("--wait", is_flag=True, help="Wait for the end; exit 1 unless it succeeds.")
@as_json
@pass_invocation
def command(invocation: Invocation, run: int, wait: bool, as_json: bool) -> None:
    """Queue a finished run again, with the same job and params, as a new run.

    Exit code 1 when the run is not over yet.
    """

    async def question(db: Database) -> tuple[RunDetail, int | None]:
        old = await views.run(db, run, lines=0)
        if old.state not in FINAL:
            return old, None
        by = f"{requester()}, run {run} again"
        new = await queue.enqueue(
            db,
            old.job,
            old.params,
            requested_by=by,
            cause="retry",
            priority=old.priority,
            trace_context=old.trace_context,
        )
        return old, new

    old, new = ask(invocation, question)
    if new is None:
        complain(f"run {run} is {old.state}; only a finished run can be queued again")
        raise click.exceptions.Exit(FAILED)
    if wait:
        follow(invocation, new, as_json=as_json)
    elif as_json:
        write_json({"run": new, "job": old.job, "state": "queued", "again": run})
    else:
        write(f"run {new} of job '{old.job}' is queued, with the params of run {run}")
