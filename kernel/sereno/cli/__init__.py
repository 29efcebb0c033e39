"""The command line: ``sereno``. A command is imported when it is called."""

from sereno.cli.group import sereno as main

__all__ = ["main"]
