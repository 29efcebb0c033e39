"""The commands that plugins add beside our own."""

import click

from sereno.cli.command_table import ENTRIES
from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.model.errors import ConfigurationError
from sereno.model.fault import sentence


def plugin_commands(invocation: Invocation) -> dict[str, click.Command]:
    """Return the commands of the loaded plugins by name.

    A plugin whose hook fails, or that wants a taken name, loses the command, and a remark says so.
    Settings with a fault in them are no reason to hide the help.
    """
    if invocation.additions is None:
        invocation.additions = _found(invocation)
    return invocation.additions


def _found(invocation: Invocation) -> dict[str, click.Command]:
    try:
        plugins = invocation.plugins
    except ConfigurationError:
        return {}
    found: dict[str, click.Command] = {}
    for plugin in plugins.loaded:
        try:
            answer = list(plugins.call(plugin, "sereno_register_commands") or ())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit in a hook is one plugin's fault
            remark(f"plugin '{plugin}': sereno_register_commands: {sentence(error, 1_000)}")
            continue
        for command in answer:
            if not isinstance(command, click.Command) or not command.name:
                remark(f"plugin '{plugin}': {command!r} is no click command with a name")
            elif command.name in ENTRIES or command.name in found:
                remark(f"plugin '{plugin}': the command '{command.name}' is taken; rename it")
            else:
                found[command.name] = command
    return found
