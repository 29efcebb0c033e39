"""Tells a file's fault, which is its own, from what ends the run, and says it in a sentence."""

from sereno import RunCancelled, RunSuperseded
from sereno_cleanup.names import readable

STOPPED = (RunCancelled, RunSuperseded)
"""What ends the run and not only a file's turn. A TimeoutError does not: a statement's own limit
raises one, and a disk elsewhere that does not answer (ETIMEDOUT)."""


def sentence(error: Exception) -> str:
    """Say what was wrong; an OSError's own text names a path, which may be no text."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return readable(str(error)) or type(error).__name__
