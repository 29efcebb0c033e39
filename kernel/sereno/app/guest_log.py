"""Keeps what runs log on a node that is a guest: by handlers at the kernel's own loggers, and at
those that the application names; the root logger, and every level of others, stay as they are."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from sereno.engine.runlog import RunLogHandler
from sereno.settings import LogSettings

_OWN = "sereno"


class _SharedHandler:
    """A logger's handler, and how many nodes of this process want it."""

    def __init__(self, handler: RunLogHandler) -> None:
        self.handler = handler
        self.wanted = 0


_kept: dict[str, _SharedHandler] = {}
_lock = Lock()


@contextmanager
def kept_lines(settings: LogSettings, loggers: Iterable[str]) -> Iterator[None]:
    """Keep the lines of runs that reach `loggers`, or the kernel's own, meanwhile.

    The kernel's own loggers get the levels that `settings` name, where the application has set
    none; what reaches the application's handlers is theirs to show.
    """
    names = [_OWN, *(name for name in dict.fromkeys(loggers) if name != _OWN)]
    keep = logging.getLevelNamesMapping()[settings.keep_level.upper()]
    shown = logging.getLevelNamesMapping()[settings.level.upper()]
    set_here = [_levelled(_OWN, shown), _levelled(f"{_OWN}.job", min(keep, shown))]
    for name in names:
        _begin(name, keep)
    try:
        yield
    finally:
        for name in names:
            _end(name)
        for logger in set_here:
            if logger is not None:
                logger.setLevel(logging.NOTSET)


def _levelled(name: str, level: int) -> logging.Logger | None:
    """Give a logger of ours its level; return it where it had none."""
    logger = logging.getLogger(name)
    if logger.level != logging.NOTSET:
        return None
    logger.setLevel(level)
    return logger


def _begin(name: str, level: int) -> None:
    with _lock:
        found = _kept.get(name)
        if found is None:
            found = _kept[name] = _SharedHandler(RunLogHandler())
            found.handler.setLevel(level)
            logging.getLogger(name).addHandler(found.handler)
        found.handler.setLevel(min(level, found.handler.level))
        found.wanted += 1


def _end(name: str) -> None:
    with _lock:
        found = _kept[name]
        found.wanted -= 1
        if not found.wanted:
            logging.getLogger(name).removeHandler(found.handler)
            del _kept[name]
