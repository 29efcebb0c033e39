"""Makes lines of what is printed: `print` in a job is a line of its run, like any that it logs."""

import io
import logging
import sys
import threading
from contextlib import suppress
from typing import Any, TextIO

from sereno.engine.runlog import MAX_MESSAGE, Unsaid, current_run

_LEVELS = {"stdout": logging.INFO, "stderr": logging.WARNING}


class _State(threading.local):
    logs = False


_state = _State()


class RunStream(io.TextIOBase):
    """Stands in the place of ``sys.stdout`` or ``sys.stderr``: what a run writes there is logged,
    under the stream's name, line by line.

    `everybody`: what is written outside of runs is logged too, else it goes `under` as it is.
    """

    def __init__(self, name: str, under: TextIO, *, everybody: bool) -> None:
        self._name = name
        self._under = under
        self._everybody = everybody
        self.unsaid: Unsaid = {}

    def write(self, text: str) -> int:
        """Log each line that `text` ends, and keep the rest for the next call."""
        scope = current_run.get()
        if _state.logs or (scope is None and not self._everybody):
            with suppress(ValueError, OSError):  # somebody has closed it
                self._under.write(text)  # a handler that writes here would log for ever
            return len(text)
        unsaid = self.unsaid if scope is None else scope.unsaid
        key = (self._name, threading.get_ident())
        *lines, rest = (unsaid.pop(key, "") + text).split("\n")
        if len(rest) > MAX_MESSAGE:
            lines, rest = [*lines, rest], ""
        if rest:
            unsaid[key] = rest
        for line in lines:
            _log_line(self._name, line)
        return len(text)

    def flush(self) -> None:
        """Let what was passed through go on; a line that is not at its end waits for that."""
        with suppress(ValueError, OSError):
            self._under.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Tell whether a person reads the stream underneath."""
        with suppress(ValueError):
            return self._under.isatty()
        return False

    def fileno(self) -> int:
        """Return the file descriptor of the stream underneath, for child processes."""
        return self._under.fileno()

    @property
    def buffer(self) -> Any:
        """The bytes of the stream underneath: they are passed through."""
        return self._under.buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream underneath."""
        return self._under.encoding


_taken: dict[str, tuple[Any, RunStream]] = {}
"""Each stream as it was before, and what stands in its place."""


def take_streams(*, everybody: bool) -> None:
    """Put a RunStream in the place of this process's stdout and stderr."""
    for name in _LEVELS:
        before = getattr(sys, name)
        _taken[name] = before, RunStream(name, before, everybody=everybody)
    put_streams_back()


def replaced_streams() -> list[str]:
    """Name the streams in whose place somebody has put another."""
    return [name for name, (_, ours) in _taken.items() if getattr(sys, name, None) is not ours]


def put_streams_back() -> None:
    """Have what is printed be lines of runs again."""
    for name, (_, ours) in _taken.items():
        setattr(sys, name, ours)


def give_streams_back() -> None:
    """Make this process's stdout and stderr what they were before."""
    log_rest()
    while _taken:
        name, (before, _) = _taken.popitem()
        setattr(sys, name, before)


def log_rest(unsaid: Unsaid | None = None) -> None:
    """Log what was printed without an end of line: by a run that is over, or by this process."""
    if unsaid is None:
        for _, stream in _taken.values():
            log_rest(stream.unsaid)
        return
    while unsaid:
        (name, _), text = unsaid.popitem()
        _log_line(name, text)


def _log_line(name: str, line: str) -> None:
    """Log a line as a terminal would show it: what follows its last carriage return."""
    line = line.rstrip("\r").rpartition("\r")[2]
    if not line.strip():
        return
    _state.logs = True
    try:
        cut = line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]} ... (cut)"
        logging.getLogger(name).log(_LEVELS[name], cut)
    finally:
        _state.logs = False
