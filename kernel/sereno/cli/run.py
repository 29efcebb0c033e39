"""``sereno run``: one replica, until it is told to stop."""

import asyncio

import click

from sereno.app import serve
from sereno.cli.ending import ends_in_the_log
from sereno.cli.failure import FAILED
from sereno.cli.invocation import Invocation
from sereno.cli.loop import new_event_loop
from sereno.cli.options import flag, pass_invocation


@click.command("run")
@flag("http.host", "--http-host", metavar="HOST", help="Where the pages are. [default: 127.0.0.1]")
@flag("http.port", "--http-port", metavar="PORT", help="0 takes a free one. [default: 8765]")
@flag("node_name", "--node-name", metavar="NAME", help="A label of this replica, for people.")
@flag("lease", "--lease", metavar="DURATION", help="How long a silent leader leads. [default: 5s]")
@pass_invocation
def command(invocation: Invocation) -> None:
    """Run a replica: lead or stand by, until SIGTERM or Ctrl-C; its runs may end first."""
    try:
        with ends_in_the_log(invocation), asyncio.Runner(loop_factory=new_event_loop) as runner:
            code = runner.run(serve(invocation.settings))
    except SystemExit:  # a callback of a job: the log has named the runs
        code = FAILED
    raise click.exceptions.Exit(code)
