"""Ends a command: what is raised in one becomes a sentence and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sereno.cli.invocation import Invocation
from sereno.model.terminal import takes_colours
from sereno.model.text import visible
from sereno.observe.complaint import INTERRUPTED, USAGE, complain, complain_of
from sereno.settings import redact


def remark(sentence: str) -> None:
    """Write on stderr what is worth knowing and no failure."""
    colour = None if takes_colours(sys.stderr) else False
    click.secho(visible(redact(sentence)), dim=True, err=True, color=colour)


def _usage(error: click.UsageError) -> str:
    """Return click's message as one sentence of ours, with the command that explains it."""
    message = error.format_message().strip().rstrip(".")
    if error.ctx is None or "`" in message or message.endswith("?"):
        return message
    return f"{message[:1].lower()}{message[1:]}; see `{error.ctx.command_path} --help`"


@contextmanager
def reported(invocation: Invocation) -> Iterator[None]:
    """Turn what is raised inside into a sentence and a code; --debug lets the traceback out."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        complain(_usage(error))
        raise click.exceptions.Exit(USAGE) from error
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if invocation.debug:
            raise
        raise click.exceptions.Exit(complain_of(error)) from error
