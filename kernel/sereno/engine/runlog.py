"""Keeps what a run says: every stdlib log line of its context and threads, up to a cap."""

import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Lock
from uuid import UUID
from weakref import ref

import msgspec

from sereno.engine.kept_text import kept, storable
from sereno.engine.record_text import whole
from sereno.model.run import LogLine

MAX_LINES = 2_000
"""Lines kept of one attempt; the last kept line says that there were more."""

MAX_MESSAGE = 8_000
"""Characters kept of one line."""

_MAX_NAME = 200
_NOTE = 100
"""Characters for the note that a line was cut."""


Unsaid = dict[tuple[str, int], str]
"""What was printed without an end of line so far, by stream and thread."""


class RunScope(msgspec.Struct, kw_only=True):
    """The attempt that code works for, and the lines it said that are not written yet.

    `trace_id`: of the attempt's trace, None without one. `refused`: it was told that something is
    not its own. `log_level`: lines below it are not kept. `said`: grows with all that it says, kept
    or not.
    """

    job: str
    run_id: int
    attempt: int
    token: UUID
    trace_id: str | None = None
    refused: bool = False
    log_level: int = 0
    said: int = 0
    unsaid: Unsaid = {}
    written: int = 0
    dropped: int = 0
    lines: list[LogLine] = []
    lock: Lock = msgspec.field(default_factory=Lock)

    def add(self, line: LogLine) -> None:
        """Keep `line`, unless the cap is reached."""
        with self.lock:
            self.said += 1
            if self.written + len(self.lines) >= MAX_LINES:
                self.dropped += 1
            else:
                self.lines.append(line)

    def take(self, last: bool = False) -> tuple[int, tuple[LogLine, ...]]:
        """Return the number of the first line not taken yet, and the lines; `last`: say what was
        dropped."""
        with self.lock:
            first, lines = self.written, self.lines
            self.lines = []
            self.written += len(lines)
            if last and self.dropped:
                text = (
                    f"{self.dropped} more lines were not kept: the limit is {MAX_LINES} an attempt"
                )
                lines.append(
                    LogLine(at=datetime.now(UTC), level="WARNING", logger="sereno", message=text)  # noqa: TID251 - as logging stamps its records
                )
            return first, tuple(lines)

    def give_back(self, lines: tuple[LogLine, ...]) -> None:
        """Take lines back that could not be written."""
        with self.lock:
            self.lines[:0] = lines
            self.written -= len(lines)


current_run: ContextVar[RunScope | None] = ContextVar("sereno_run", default=None)
"""The run that the current task or thread works for."""


_handled: dict[int, ref[logging.LogRecord]] = {}
"""Records of runs that a handler was given and that still live, by identity."""


def _first(record: logging.LogRecord) -> bool:
    """Tell whether no other handler of these, at a logger below, was given `record` before."""
    key = id(record)
    if key in _handled:
        return False
    _handled[key] = ref(record, lambda _: _handled.pop(key, None))
    return True


class RunLogHandler(logging.Handler):
    """Puts every record that is logged in a run's context among that run's lines, once, however
    many of these it reaches on its way to the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep `record` if it belongs to a run."""
        scope = current_run.get()
        if scope is None or not _first(record):
            return
        if record.levelno < scope.log_level:
            scope.said += 1
            return
        scope.add(
            LogLine(
                at=datetime.fromtimestamp(record.created, UTC),
                level=storable(str(record.levelname)[:_MAX_NAME]),
                logger=storable(str(record.name)[:_MAX_NAME]),
                message=kept(whole(record, MAX_MESSAGE), MAX_MESSAGE + _NOTE),
            )
        )
