"""``sereno run``: one replica, until it is told to stop."""

import os
import sys

import click
import msgspec

from sereno.cli.invocation import Invocation
from sereno.cli.options import flag, pass_invocation
from sereno.model.installed import hand_over
from sereno.model.lazy import lazy
from sereno.model.replica_order import VARIABLE, ReplicaOrder

_MAX_VARIABLE = 100_000
"""Bytes: Linux takes 131,072 in one variable of the environment."""


@click.command("run")
@flag("http.host", "--http-host", metavar="HOST", help="Where the pages are. [default: 127.0.0.1]")
@flag("http.port", "--http-port", metavar="PORT", help="0 takes a free one. [default: 8765]")
@flag("node_name", "--node-name", metavar="NAME", help="A label of this replica, for people.")
@flag("lease", "--lease", metavar="DURATION", help="How long a silent leader leads. [default: 5s]")
@pass_invocation
def command(invocation: Invocation) -> None:
    """Run a replica: lead or stand by, until SIGTERM or Ctrl-C; its runs may end first."""
    order = ReplicaOrder(
        installed=hand_over(),
        config=str(invocation.config) if invocation.config is not None else None,
        flags=invocation.flags,
        debug=invocation.debug,
    )
    if os.environ.pop(VARIABLE, None) is None and invocation.own_process:
        _become(order)
    # Where this process is somebody else's, as a test's, the replica runs in it as it is.
    raise click.exceptions.Exit(lazy("sereno.app.replica").run(order))


def _become(order: ReplicaOrder) -> None:
    """Begin this process anew, as a replica; return where the order is too long for that.

    The number of the process, its arguments and what it may do stay. What is left behind is all
    that only a command needs: click and the reading of plugins' metadata, 2.2 MB for months.
    """
    encoded = msgspec.json.encode(order)
    if not sys.executable or len(encoded) > _MAX_VARIABLE:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.environ[VARIABLE] = encoded.decode()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - itself
    except OSError:  # an environment that is nearly full
        del os.environ[VARIABLE]
