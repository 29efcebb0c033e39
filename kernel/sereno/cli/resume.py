"""``sereno resume``: lets a paused schedule fire again."""

from typing import Literal, cast

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation, requester
from sereno.cli.output import write, write_json
from sereno.cli.query import ask
from sereno.store import schedules
from sereno.store.pool import Database

_Replay = Literal["none", "last", "all"]


@click.command("resume")
@click.argument("name", metavar="JOB|SCHEDULE")
@click.option(
    "--run",
    "replay",
    type=click.Choice(["none", "last", "all"]),
    default="none",
    show_default=True,
    help="Which of the slots that fell into the pause to run now.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the schedule.")
@as_json
@pass_invocation
def command(invocation: Invocation, name: str, replay: str, reason: str, as_json: bool) -> None:
    """Resume a paused schedule, or all schedules of a job, from the next slot on."""

    async def question(db: Database) -> tuple[list[str], list[int]]:
        run = cast(_Replay, replay)
        return await schedules.resume(db, name, by=requester(), run=run, reason=reason)

    resumed, runs = ask(invocation, question)
    if as_json:
        write_json({"resumed": resumed, "runs": runs})
        return
    for schedule in resumed:
        write(f"schedule '{schedule}' is resumed")
    if runs:
        write(f"queued for slots in the pause: run {', '.join(map(str, runs))}")
    if not resumed:
        write(f"'{name}' was not paused, nothing was changed")
