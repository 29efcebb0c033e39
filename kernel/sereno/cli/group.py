"""The command ``sereno``: finds a command when it is called, so that none pays for others."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import click

from sereno.cli.command_table import ENTRIES, SECTIONS
from sereno.cli.failure import reported
from sereno.cli.invocation import Invocation
from sereno.cli.options import global_options, global_parameters
from sereno.cli.plugin_commands import plugin_commands
from sereno.model.streams import prepare_streams, read_arguments, undecodable
from sereno.model.suggestion import suggestion


class SerenoGroup(click.Group):
    """Our own commands by name; for any other name, and for the help, the plugins are loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our commands, then those of plugins."""
        return [*ENTRIES, *plugin_commands(ctx.ensure_object(Invocation))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command `cmd_name`."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return plugin_commands(ctx.ensure_object(Invocation)).get(cmd_name)
        command: click.Command = import_module(f"sereno.cli.{entry.module}").command
        known = {parameter.name for parameter in command.params}
        command.params += [p for p in global_parameters() if p.name not in known]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with, or say which one was meant."""
        name = click.utils.make_str(args[0])
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            hint = suggestion(name, self.list_commands(ctx), "; `sereno --help` lists them")
            ctx.fail(f"there is no command '{name}'{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write our commands, section by section, without importing them, then the plugins'."""
        for title, entries in SECTIONS.items():
            _write(formatter, title, ((e.name, e.summary) for e in entries))
        added = plugin_commands(ctx.ensure_object(Invocation))
        if added:
            rows = ((n, c.get_short_help_str(formatter.width)) for n, c in sorted(added.items()))
            _write(formatter, "Added by plugins", rows)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run from the process's own arguments, or from `args`."""
        if args is None:
            prepare_streams()
            args = read_arguments()
            extra.setdefault("obj", Invocation(own_process=True))
        return super().main(args, *rest, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the global options; a fault in them is told as any other."""
        with reported(Invocation()):
            if bad := undecodable(args[1]):
                raise click.UsageError(f"argument '{bad}' is no UTF-8; write it as UTF-8")
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises becomes a sentence and an exit code."""
        invocation = ctx.ensure_object(Invocation)
        with reported(invocation), invocation.resources:
            return super().invoke(ctx)


def _write(formatter: click.HelpFormatter, title: str, rows: Iterable[tuple[str, str]]) -> None:
    with formatter.section(title):
        formatter.write_dl([*rows], col_max=14)


@click.group(cls=SerenoGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sereno", message="sereno %(version)s")
@global_options
def sereno() -> None:
    """Run a backend's jobs on time, on several replicas, with Postgres alone.

    Options stand before or after the command. Exit codes: 0 done, 1 the run or the check failed,
    2 usage or configuration.
    """
