"""What ends a replica is a line of its log, in the log's own form."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sereno.cli.failure import FAILED, exit_code
from sereno.cli.invocation import Invocation
from sereno.model.errors import SerenoError
from sereno.observe.logs import configure_logging
from sereno.settings import LogSettings

log = logging.getLogger("sereno.kernel")


@contextmanager
def ends_in_the_log(invocation: Invocation) -> Iterator[None]:
    """Log what is raised inside where the log is JSON, and end with its exit code; else let it out,
    to be told to the person at the terminal."""
    try:
        yield
    except Exception as error:
        if invocation.debug or isinstance(error, click.ClickException | click.exceptions.Exit):
            raise
        if not _is_json(invocation):
            raise
        if not logging.getLogger().handlers:  # the settings are at fault, or none was read yet
            configure_logging(LogSettings(format="json"))
        known = isinstance(error, SerenoError)
        code = exit_code(error) if isinstance(error, SerenoError) else FAILED
        log.critical(
            "this node cannot run",
            exc_info=None if known else error,
            extra={"error": str(error), "exit_code": code} if known else {"exit_code": code},
        )
        raise click.exceptions.Exit(code) from error


def _is_json(invocation: Invocation) -> bool:
    """Tell whether this replica's log is JSON, as far as its settings can be read."""
    settings = invocation.__dict__.get("settings")  # read already, or at fault
    if settings is not None:
        chosen = settings.log.format
    else:
        given = invocation.flags.get("log.format")
        chosen = given or os.environ.get("SERENO_LOG__FORMAT", "auto")
    return chosen == "json" or (chosen != "text" and not sys.stderr.isatty())
