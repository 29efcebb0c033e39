"""``sereno demo``: all of it at work, with nothing prepared."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import click

from sereno.app import ReadyNode, demonstrate
from sereno.app.examples import Example, example, examples
from sereno.cli.invocation import Invocation
from sereno.cli.options import flag, pass_invocation
from sereno.cli.output import write, write_facts, write_table
from sereno.cli.program import spoken_program
from sereno.cli.table import Cell, TableColumn
from sereno.engine.event_loop import new_event_loop
from sereno.model.errors import ConfigurationError
from sereno.settings import EMBEDDED_DEMO, AppsSettings, redact

_EXAMPLES = (TableColumn("example"), TableColumn("what it is"), TableColumn("lacks here"))


@click.command("demo")
@flag("http.port", "--http-port", metavar="PORT", help="Or the next free one. [default: 8765]")
@flag("node_name", "--node-name", metavar="NAME", help="A label of this replica, for people.")
@click.option("--yes", is_flag=True, help="Also in a database that real replicas have led.")
@click.option("--list", "listed", is_flag=True, help="List the examples, and start nothing.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Where an example's pages are.")
@click.argument("name", metavar="[EXAMPLE]", required=False)
@pass_invocation
def command(
    invocation: Invocation, yes: bool, listed: bool, port: int | None, name: str | None
) -> None:
    """See it work: an embedded PostgreSQL, quick schedules, and work for them; Ctrl-C stops it.

    A second one in another terminal joins the first as a standby. With the name of an EXAMPLE: one
    of the systems of first users, whole, with stand-ins of what is outside of it.
    """
    if listed:
        _list()
        return
    if name is not None:
        _start(example(name), port)
    settings = invocation.settings
    own = invocation.is_embedded

    def show(standing: ReadyNode) -> None:
        place = "its own on the embedded PostgreSQL: " if own else ""
        write()
        write_facts(
            (
                *_apps(settings.apps, standing.apps),
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


def _list() -> None:
    """Tell which examples there are, and what starts them."""
    rows: list[list[Cell]] = [
        [one.name, one.what, ", ".join(one.missing) or "-"] for one in examples()
    ]
    write_table(_EXAMPLES, rows, "there are no examples beside this package")
    if rows:
        write(f"`{spoken_program()} demo {rows[0][0]}` starts one")


def _start(chosen: Example, port: int | None) -> NoReturn:
    """Become the program that starts an example, so that signals are its own."""
    if chosen.missing:
        raise ConfigurationError(
            f"example '{chosen.name}' needs {', '.join(chosen.missing)}, which this environment "
            f"lacks: pip install -r {chosen.requirements}"
        )
    if not os.access(chosen.folder, os.W_OK):  # of an installation that is another's
        copied = Path(tempfile.mkdtemp(prefix="sereno-example-"), chosen.name)
        chosen = chosen._replace(folder=Path(shutil.copytree(chosen.folder, copied)))
    given = [] if port is None else ["--port", str(port)]
    os.execv(sys.executable, [sys.executable, str(chosen.program), *given])  # noqa: S606


def _apps(chosen: AppsSettings, mounts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield where the apps of plugins are, the console first."""
    scheme = "https" if chosen.tls_certificate else "http"
    for mount in sorted(mounts, key=lambda mount: mount != "/console"):
        place = f"{scheme}://{chosen.host}:{chosen.port}{chosen.path_prefix}{mount}/"
        yield mount.strip("/") or "app", place


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
    if there := [one.name for one in examples()]:
        yield "a whole system", f"{sereno} demo {there[-1]}  (or: {', '.join(there[:-1])})"
    yield "try: the proof", f"{sereno} verify{where}  (no slot was lost, none doubled)"
