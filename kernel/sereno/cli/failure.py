"""Decides what a failure tells a person, and with which code the process ends.

0    done
1    the run or the check failed, or what it needs is away (database, leader, plugin)
2    usage or configuration: the same call cannot succeed until something is changed
130  Ctrl-C
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sereno.cli.invocation import Invocation
from sereno.cli.streams import is_full
from sereno.model.errors import (
    ConfigurationError,
    DeclarationError,
    NotFoundError,
    ParamsError,
    PoolerError,
    SerenoError,
    TriggerError,
)
from sereno.model.fault import message
from sereno.model.fault import sentence as told_of
from sereno.model.terminal import takes_colours
from sereno.model.text import shortened, visible
from sereno.settings import redact

DONE = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130

_MAX_SENTENCE = 10_000

_USAGE_ERRORS = (
    ConfigurationError,
    DeclarationError,
    NotFoundError,
    ParamsError,
    PoolerError,
    TriggerError,
)


def exit_code(error: SerenoError) -> int:
    """Return the code that `error` ends the process with."""
    return USAGE if isinstance(error, _USAGE_ERRORS) else FAILED


def complain(sentence: str) -> None:
    """Write `sentence` on stderr, each of its lines marked, without the secrets in it."""
    for line in visible(redact(shortened(sentence, _MAX_SENTENCE))).split("\n"):
        click.secho("sereno: ", fg="red", nl=False, err=True, color=_colour())
        click.echo(line, err=True)


def _colour() -> bool | None:
    """Return False where stderr shows no colours; click decides otherwise."""
    return None if takes_colours(sys.stderr) else False


def remark(sentence: str) -> None:
    """Write on stderr what is worth knowing and no failure."""
    click.secho(visible(redact(sentence)), dim=True, err=True, color=_colour())


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
    except SerenoError as error:
        if invocation.debug:
            raise
        complain(message(error, _MAX_SENTENCE))
        raise click.exceptions.Exit(exit_code(error)) from error
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
        if isinstance(error, OSError) and is_full(error):
            complain(f"the output cannot be written: {error.strerror}")
            raise click.exceptions.Exit(FAILED) from error
        complain(
            f"{told_of(error, _MAX_SENTENCE)}; that is a fault of sereno or of a plugin, "
            "`sereno --debug ...` shows where"
        )
        raise click.exceptions.Exit(FAILED) from error
