"""Decides what a failure tells a person at a terminal, and with which code the process ends.

0    done
1    the run or the check failed, or what it needs is away (database, leader, plugin)
2    usage or configuration: the same call cannot succeed until something is changed
130  Ctrl-C
"""

import sys

from sereno.model.errors import (
    ClusterError,
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
from sereno.model.streams import is_full
from sereno.model.terminal import takes_colours
from sereno.model.text import shortened, visible
from sereno.settings import redact

DONE = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130

_MAX_SENTENCE = 10_000
_RED, _PLAIN = "\x1b[31m", "\x1b[0m"

_USAGE_ERRORS = (
    ClusterError,
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
    mark = f"{_RED}sereno: {_PLAIN}" if takes_colours(sys.stderr) else "sereno: "
    for line in visible(redact(shortened(sentence, _MAX_SENTENCE))).split("\n"):
        sys.stderr.write(f"{mark}{line}\n")
    sys.stderr.flush()


def complain_of(error: Exception) -> int:
    """Write what `error` tells a person; return the code that the process ends with."""
    if isinstance(error, SerenoError):
        complain(message(error, _MAX_SENTENCE))
        return exit_code(error)
    if isinstance(error, OSError) and is_full(error):
        complain(f"the output cannot be written: {error.strerror}")
        return FAILED
    complain(
        f"{told_of(error, _MAX_SENTENCE)}; that is a fault of sereno or of a plugin, "
        "`sereno --debug ...` shows where"
    )
    return FAILED
