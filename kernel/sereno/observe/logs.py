"""Sets up logging: where lines go, in which form, from which level, and whose run they tell of."""

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO

from sereno.engine.runlog import current_run
from sereno.engine.status import Status
from sereno.model.terminal import takes_colours
from sereno.observe.logline import JsonLine, TextLine
from sereno.plugins import Registry
from sereno.settings import LogSettings, plugin_key

_bound: ContextVar[Mapping[str, Any]] = ContextVar("sereno_log_facts", default={})  # noqa: B039


class _Handler(logging.StreamHandler[TextIO]):
    """The one handler of ours, told apart from any that a host program has put there.

    `levels`: of loggers that have one of their own, by name; those below them have it too. Loggers
    let more through than this, as what is kept of runs has a level of its own.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.levels: dict[str, int] = {}
        self.shown = logging.NOTSET

    def filter(self, record: logging.LogRecord) -> Any:
        """Tell whether the node's own log shows `record`."""
        if self.levels and record.levelno < self._level_of(record.name):
            return False
        return super().filter(record)

    def show(self, logger: str, level: int) -> None:
        """Show lines of `logger`, and of those below it, from `level` on."""
        self.levels[logger] = level
        self.setLevel(min(level, self.level))

    def _level_of(self, name: str) -> int:
        while name:
            found = self.levels.get(name)
            if found is not None:
                return found
            name = name.rpartition(".")[0]
        return self.shown


def configure_logging(
    settings: LogSettings, *, status: Status | None = None, stream: TextIO | None = None
) -> None:
    """Send every log line of this process to `stream` (stderr) in the form that `settings` ask for.

    May be called again, as when `status` (this node's id and term) is known. Uncaught exceptions
    and warnings become lines too, so that a secret in their text is hidden like any other.
    """
    handler = _Handler(stream or sys.stderr)
    handler.shown = _number(settings.level)
    handler.setLevel(handler.shown)
    terminal = handler.stream.isatty()
    if settings.format == "json" or (settings.format == "auto" and not terminal):
        handler.setFormatter(JsonLine(lambda: facts(status)))
    else:
        colour = takes_colours(handler.stream)
        handler.setFormatter(TextLine(lambda: facts(status), colour=colour))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(min(handler.shown, _number(settings.keep_level)))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def apply_plugin_levels(settings: LogSettings, registry: Registry) -> None:
    """Give each plugin's loggers, and those of its jobs' runs, the level that `settings` name."""
    for name, record in registry.records.items():
        level = settings.plugins.get(name) or settings.plugins.get(plugin_key(name))
        if level is None:
            continue
        jobs = [job for job, plugin in registry.plugin_of.items() if plugin == name]
        for logger in (record.package, *(f"sereno.job.{job}" for job in jobs)):
            for handler in logging.getLogger().handlers:
                if isinstance(handler, _Handler):
                    handler.show(logger, _number(level))
            logging.getLogger(logger).setLevel(min(_number(level), _number(settings.keep_level)))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


@contextmanager
def bind(**known: Any) -> Iterator[None]:
    """Put `known` into every line that is logged inside, also by the tasks it starts."""
    token = _bound.set({**_bound.get(), **known})
    try:
        yield
    finally:
        _bound.reset(token)


def facts(status: Status | None = None) -> dict[str, Any]:
    """Return what is known of the code that runs now: its run, its node, what `bind` added."""
    found: dict[str, Any] = {}
    if scope := current_run.get():
        found |= {"job": scope.job, "run": scope.run_id, "attempt": scope.attempt}
        if scope.trace_id:
            found["trace"] = scope.trace_id
    if status is not None:
        found |= {"node": str(status.node), "term": status.term}
    return {**found, **_bound.get()}


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("sereno").critical("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
