"""``sereno resume JOB``: lets paused schedules fire again."""

from typing import Literal, cast

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.pause import check_choice, choice
from sereno.cli.query import ask
from sereno.client import Client, Resumed

_Replay = Literal["none", "last", "all"]


@click.command("resume")
@choice
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
def command(
    invocation: Invocation,
    name: str | None,
    plugin: str | None,
    everything: bool,
    replay: str,
    reason: str,
    as_json: bool,
) -> None:
    """Resume what is paused, chosen as `pause` chooses, from the next slot on."""
    check_choice(name, plugin, everything)

    async def question(client: Client) -> Resumed:
        return await client.resume(
            name,
            plugin=plugin,
            everything=everything,
            replay=cast(_Replay, replay),
            reason=reason,
        )

    found = ask(invocation, question)
    if as_json:
        write_json({"resumed": found.resumed, "runs": found.runs})
        return
    for schedule in found.resumed:
        write(f"schedule '{schedule}' is resumed")
    if found.runs:
        write(f"queued for slots in the pause: run {', '.join(map(str, found.runs))}")
    if not found.resumed:
        meant = name or (f"--plugin {plugin}" if plugin else "--all")
        write(f"'{meant}' was not paused, nothing was changed")
