"""``sereno apps``: the apps of plugins, without a replica."""

import asyncio

import click

from sereno.apps.service import serve_apps
from sereno.cli.invocation import Invocation
from sereno.cli.options import flag, pass_invocation
from sereno.engine.event_loop import new_event_loop
from sereno.observe.logs import apply_plugin_levels, configure_logging


@click.command("apps")
@flag("apps.host", "--host", metavar="HOST", help="Where the apps are. [default: 127.0.0.1]")
@flag("apps.port", "--port", metavar="PORT", help="0 takes a free one. [default: 8766]")
@pass_invocation
def command(invocation: Invocation) -> None:
    """Serve the apps of plugins, until SIGTERM or Ctrl-C.

    A replica does the same in a process of its own where a plugin brings an app. This command
    serves them where no replica is: it never stands for the lead, and runs no job.
    """
    settings, registry = invocation.settings, invocation.registry
    url = invocation.database_url
    configure_logging(settings.log)
    apply_plugin_levels(settings.log, registry)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve_apps(settings, registry, url))
