"""``sereno demo``: all of it at work, with nothing prepared."""

import asyncio
import os
from collections.abc import Iterator

import click

from sereno.app import ReadyNode, demonstrate
from sereno.cli.invocation import Invocation
from sereno.cli.loop import new_event_loop
from sereno.cli.options import flag, pass_invocation
from sereno.cli.output import write, write_facts
from sereno.cli.program import spoken_program
from sereno.settings import EMBEDDED_DEMO, redact


@click.command("demo")
@flag("http.port", "--http-port", metavar="PORT", help="Or the next free one. [default: 8765]")
@flag("node_name", "--node-name", metavar="NAME", help="A label of this replica, for people.")
@click.option("--yes", is_flag=True, help="Also in a database that real replicas have led.")
@pass_invocation
def command(invocation: Invocation, yes: bool) -> None:
    """See it work: an embedded PostgreSQL, quick schedules, and work for them; Ctrl-C stops it.

    A second one in another terminal joins the first as a standby.
    """
    settings = invocation.settings
    own = invocation.is_embedded

    def show(standing: ReadyNode) -> None:
        place = "its own on the embedded PostgreSQL: " if own else ""
        write()
        write_facts(
            (
                ("page", f"{standing.http}/" if standing.http else None),
                ("metrics", f"{standing.http}/metrics" if standing.http else None),
                ("health", f"{standing.http}/health" if standing.http else None),
                ("database", f"{place}{redact(standing.dsn)}"),
                *_to_try(spoken_program(), f" --database-url {EMBEDDED_DEMO}" if own else ""),
                ("stop", "Ctrl-C"),
            )
        )
        write()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        code = runner.run(demonstrate(settings, show=show, anywhere=yes))
    raise click.exceptions.Exit(code)


def _to_try(sereno: str, where: str) -> Iterator[tuple[str, str]]:
    """Yield what to type in another terminal, and what it shows; `where`: the demonstration's
    database, where it is not the one that commands ask by default."""
    yield "in another terminal", f"{sereno} jobs{where}  (or: runs, cluster, --help)"
    yield "a standby", f"{sereno} demo  (once more; it leads as soon as this one stops)"
    yield "try: kill it", f"kill -9 {os.getpid()}  (the standby leads within a second)"
    yield (
        "try: pause a job",
        f"{sereno} pause cleanup.logs --until +1m{where}  (its slots are skipped)",
    )
    yield "try: the proof", f"{sereno} verify{where}  (no slot was lost, none doubled)"
