"""The commands that plugins add beside our own."""

from typing import Any

import click

from sereno.cli.command_table import ENTRIES
from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.model.errors import ConfigurationError
from sereno.model.fault import message, sentence
from sereno.plugins import asked_for, settings_of


def plugin_commands(invocation: Invocation) -> dict[str, click.Command]:
    """Return the commands of the loaded plugins by name.

    A plugin whose hook fails, or that wants a taken name, loses the command, and a remark says so.
    Settings with a fault in them are no reason to hide the help.
    """
    if invocation.additions is None:
        invocation.additions = _found(invocation)
        for fault in invocation.command_faults:
            remark(fault)
    return invocation.additions


def _found(invocation: Invocation) -> dict[str, click.Command]:
    try:
        plugins = invocation.plugins
    except ConfigurationError:
        return {}
    found: dict[str, click.Command] = {}
    owners: dict[str, str] = {}
    for plugin in plugins.loaded:
        try:
            answer = _answer(invocation, plugin)
        except KeyboardInterrupt:
            raise
        except ConfigurationError as error:
            fault = f"plugin '{plugin}': its commands are left out: {message(error, 1_000)}"
            invocation.command_faults.append(fault)
            continue
        except BaseException as error:  # SystemExit in a hook is one plugin's fault
            fault = f"plugin '{plugin}': sereno_register_commands: {sentence(error, 1_000)}"
            invocation.command_faults.append(fault)
            continue
        for command in answer:
            if not isinstance(command, click.Command) or not command.name:
                remark(f"plugin '{plugin}': {command!r} is no click command with a name")
            elif command.name in ENTRIES or command.name in found:
                owner = owners.get(command.name)
                of = "sereno's own" if owner is None else f"plugin '{owner}''s"
                remark(f"plugin '{plugin}': the command '{command.name}' is {of}; rename it")
            else:
                found[command.name] = command
                owners[command.name] = plugin
    return found


def _answer(invocation: Invocation, plugin: str) -> list[Any]:
    """Ask one plugin, with its settings where its hook takes them."""
    plugins, hook = invocation.plugins, "sereno_register_commands"
    found = plugins.implementation(plugin, hook)
    wants = found is not None and "settings" in asked_for(found)
    settings = settings_of(plugins, plugin, invocation.settings) if wants else None
    return list(plugins.call(plugin, hook, settings=settings) or ())
