"""Keeps the kernel's part of stdlib logging, which a process has once and every library sets.

``dictConfig`` (as ``django.setup()`` calls it), ``basicConfig(force=True)`` and ``logging.disable``
take away every handler, silence loggers and change levels for all. The kernel's handlers, the root
logger's level and the loggers of the kernel and of its jobs' runs are not to be had: the call goes
on without them, whoever made it is named, and what can only be noticed afterwards is put back at
the start of the next run, or within a second.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import local
from typing import Any

from sereno.engine.runlog import current_run

Report = Callable[[str], None]
"""Called with what somebody did, as "removed the kernel's handlers"."""

_OWN = ("sereno", "sereno.job", "stdout", "stderr")
"""Loggers that there are from the start: what is set on them holds for all below them."""


class _LoggingState(local):
    ours = False


class _Setup:
    """What there is to keep, in this process."""

    handlers: tuple[logging.Handler, ...] = ()
    forms: tuple[tuple[int, logging.Formatter | None, Any], ...] = ()
    level = logging.WARNING
    known = 0
    plugins: frozenset[str] = frozenset()
    streams: tuple[object, ...] = ()
    report: Report = staticmethod(lambda _: None)


_state = _LoggingState()


class _PluginLogger(logging.Logger):
    """A plugin's logger: it is not silenced by what is meant for all."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "disabled" and value and _Setup.handlers:
            _report("disabled other loggers")
        else:
            super().__setattr__(name, value)


class _Logger(_PluginLogger):
    """A logger of the kernel, or of a job's runs; of these the level is their job's to set."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not _Setup.handlers:  # no node is at work in this process
            super(_PluginLogger, self).__setattr__(name, value)
        elif name == "propagate" and not value:
            _report("cut the kernel's loggers off")
        elif name == "level" and not _state.ours and not self.name.startswith("sereno.job."):
            _report("set the level of a logger of the kernel")
        else:
            super().__setattr__(name, value)


class _Root(logging.RootLogger):
    """The root logger, whose level and whose handlers of ours are the kernel's to set."""

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802 - logging's name
        # It would write each line of everybody a second time, and not as the node does.
        if type(hdlr) is logging.StreamHandler and hdlr.stream in _Setup.streams:
            _report("put a handler for this process's output on the root logger")
        else:
            super().addHandler(hdlr)

    def removeHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802 - logging's name
        if hdlr in _Setup.handlers and not _state.ours:
            _report("removed the kernel's log handlers")
        else:
            super().removeHandler(hdlr)

    def __setattr__(self, name: str, value: Any) -> None:
        if not _Setup.handlers:
            super().__setattr__(name, value)
        elif name == "level" and value != _Setup.level and not _state.ours:
            _report(f"set the root logger's level to {logging.getLevelName(value)}")
        elif name == "disabled" and value:
            _report("disabled the root logger")
        elif name == "handlers" and (missing := [h for h in _Setup.handlers if h not in value]):
            super().__setattr__(name, [*value, *missing])
            _report("took the kernel's log handlers away")
        else:
            super().__setattr__(name, value)


class _Manager(logging.Manager):
    """What ``logging.disable`` sets."""

    @property
    def disable(self) -> int:
        return logging.NOTSET

    @disable.setter
    def disable(self, value: Any) -> None:
        if value not in (logging.NOTSET, "NOTSET") and _Setup.handlers:
            _report(f"called logging.disable({value!r})")


def keep_logging(
    *handlers: logging.Handler, report: Report, streams: Iterable[object] = ()
) -> None:
    """Keep `handlers` at the root logger, and its level as it is now.

    `report` is called with what somebody did that would have it otherwise. Nobody else's handler
    for `streams` comes to the root logger.
    """
    _Setup.streams = tuple(streams)
    root = logging.getLogger()
    _Setup.handlers = handlers
    _Setup.forms = tuple(_form(h) for h in handlers)
    _Setup.level, _Setup.report = root.level, report
    root.manager.__class__ = _Manager
    for name, try_it, what in (
        ("setLogRecordFactory", _makes_records, "a record factory"),
        ("setLoggerClass", _makes_loggers, "a logger class"),
    ):
        set_it = getattr(logging, name)
        if not hasattr(set_it, "checks"):  # the second node of this process finds it done
            setattr(logging, name, _checked(set_it, try_it, what))
    root.__class__ = _Root
    for name in _OWN:
        logging.getLogger(name)
    _take_loggers(root.manager.loggerDict)


def release_logging() -> None:
    """Keep nothing any more: handlers and levels stay, and are anybody's to change."""
    _Setup.handlers, _Setup.forms, _Setup.streams = (), (), ()
    _Setup.report = staticmethod(lambda _: None)


def keep_loggers_of(packages: Iterable[str]) -> None:
    """Have no logger of these plugins' packages disabled either."""
    _Setup.plugins = frozenset(packages)
    _take_loggers(logging.getLogger().manager.loggerDict)


@contextmanager
def changing_logging() -> Iterator[None]:
    """Set levels and handlers inside: it is the kernel that does."""
    _state.ours = True
    try:
        yield
    finally:
        _state.ours = False
        _Setup.level = logging.getLogger().level


def put_logging_back() -> None:
    """See that all is as it was; cheap, as it is asked before every run."""
    root = logging.root
    if not _Setup.handlers or _is_as_it_was(root):
        return
    if any(h not in root.handlers for h in _Setup.handlers):
        root.handlers = list(root.handlers)  # which puts them back, and tells
    for handler, form in zip(_Setup.handlers, _Setup.forms, strict=True):
        if _form(handler) != form or handler.filters:
            level, handler.formatter, stream = form
            handler.setLevel(level)
            handler.filters = []
            if stream is not None:
                handler.stream = stream  # type: ignore[attr-defined]
            _report("changed a log handler of the kernel")
    if root.filters:
        root.filters = []
        _report("put a filter on the root logger")
    if len(root.manager.loggerDict) != _Setup.known:
        _take_loggers(root.manager.loggerDict)


def _is_as_it_was(root: logging.Logger) -> bool:
    """Tell whether there is nothing to put back: five attributes a handler, before every run."""
    handlers = root.handlers
    for handler, (level, formatter, stream) in zip(_Setup.handlers, _Setup.forms, strict=True):
        if (
            handler.level != level
            or handler.formatter is not formatter
            or handler.filters
            or (stream is not None and handler.stream is not stream)  # type: ignore[attr-defined]
            or handler not in handlers
        ):
            return False
    return not root.filters and len(root.manager.loggerDict) == _Setup.known


def _take_loggers(loggers: Mapping[str, Any]) -> None:
    """Guard the kernel's loggers that have come to be; none is made while they are looked at."""
    for name, logger in list(loggers.items()):
        if not isinstance(logger, logging.Logger) or isinstance(logger, _PluginLogger):
            continue
        top = name.partition(".")[0]
        if top == "sereno" or name in _OWN:
            logger.disabled, logger.propagate, logger.filters = False, True, []
            logger.__class__ = _Logger
        elif top in _Setup.plugins and type(logger) is logging.Logger:
            logger.disabled = False
            logger.__class__ = _PluginLogger
    _Setup.known = len(loggers)


def _checked(
    set_it: Callable[[Any], None], try_it: Callable[[Any], object], what: str
) -> Callable[[Any], None]:
    """Return a setter that takes from plugins what works, and from runs nothing."""

    def set_checked(value: Any) -> None:
        if current_run.get() is not None and _Setup.handlers:
            _report(f"set {what} of its own")
            return
        try:
            try_it(value)
        except Exception as error:
            _report(f"set {what} that does not work ({type(error).__name__}: {error})")
        else:
            set_it(value)

    set_checked.checks = what  # type: ignore[attr-defined] # what tells it from logging's own
    return set_checked


def _makes_records(factory: Callable[..., object]) -> None:
    if not isinstance(factory("sereno", logging.DEBUG, "", 0, "", (), None), logging.LogRecord):
        raise TypeError("it makes no LogRecord")


def _makes_loggers(kind: type[logging.Logger]) -> None:
    kind("sereno").handle(logging.LogRecord("sereno", logging.DEBUG, "", 0, "", (), None))


def _form(handler: logging.Handler) -> tuple[int, logging.Formatter | None, Any]:
    return handler.level, handler.formatter, getattr(handler, "stream", None)


def _report(act: str) -> None:
    if not _state.ours:
        _Setup.report(act)
