"""Reports who set logging anew, in the log that goes on in spite of it, and on the health page."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO
from uuid import UUID

from sereno.engine.clock import steady
from sereno.engine.own_logging import (
    keep_loggers_of,
    keep_logging,
    put_logging_back,
    release_logging,
)
from sereno.engine.run_streams import (
    give_streams_back,
    put_streams_back,
    replaced_streams,
    take_streams,
)
from sereno.engine.runlog import current_run
from sereno.engine.status import Status
from sereno.model.events import RunStarted
from sereno.observe.logline import JsonLine
from sereno.plugins import Registry

log = logging.getLogger("sereno.log")

SHOWN_FOR = 3600.0
"""Seconds for which the health page tells of it."""

_REPORTED_AGAIN = 60.0
"""Seconds after which the same culprit is named again for the same."""

_HINT = (
    "logging belongs to the whole process: log through run.log or logging.getLogger, and leave out"
    " logging.config, basicConfig(force=True), logging.disable and LOGGING_CONFIG of Django"
)


class LogWatch:
    """The keeper of this process's log. `calling`: names the hook or plugin that is being called,
    None when none is."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._reported: dict[tuple[str, str], float] = {}
        self._importing: str | None = None
        self._polled = False
        self._suspects: dict[UUID, object] | None = None
        self.calling: Callable[[], str | None] = lambda: None

    def begin(self, *, everybody: bool) -> None:
        """Keep logging as it is set up now, and make lines of what is printed.

        `everybody`: also of what is printed outside of runs, where lines are JSON.
        """
        ours = [h for h in logging.getLogger().handlers if _ours(h)]
        as_json = any(isinstance(h.formatter, JsonLine) for h in ours)
        before = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        take_streams(everybody=everybody and as_json)
        streams = (*before, sys.stdout, sys.stderr)
        keep_logging(*ours, report=self._report, streams=streams)

    def importing(self, plugin: str) -> None:
        """Take note of which plugin is being imported from now on."""
        put_logging_back()
        self._importing = f"plugin '{plugin}'"

    def loaded(self, registry: Registry) -> None:
        """Take note that the plugins are imported: their loggers are kept too."""
        keep_loggers_of({r.package.partition(".")[0] for r in registry.records.values()})
        put_logging_back()
        self._importing = None

    def observe(self, event: object) -> None:
        """Poll before each run begins: it is to keep its lines."""
        if type(event) is RunStarted and not self._polled:
            self.poll()
            # Runs that begin in one go need one poll: no job's code has run in between.
            with suppress(RuntimeError):  # no loop runs here
                asyncio.get_running_loop().call_soon(self._poll_again)
                self._polled = True

    def _poll_again(self) -> None:
        self._polled = False

    def poll(self) -> None:
        """Put back what is not as it was."""
        put_logging_back()
        self._poll_streams()

    def end(self) -> None:
        """Give logging, stdout and stderr back: the node is over, and its process may go on."""
        give_streams_back()
        release_logging()

    def _poll_streams(self) -> None:
        """Put streams back that a run has replaced, once no run is left that may have: one that
        is at work may catch what is printed meanwhile, as contextlib.redirect_stdout does."""
        names = replaced_streams()
        if not names:
            self._suspects = None
            return
        if self._suspects is None:
            self._suspects = dict(self._status.at_work)
        if any(token in self._status.at_work for token in self._suspects):
            return
        put_streams_back()
        runs = [str(attempt) for attempt in list(self._suspects.values())[:5]]
        self._suspects = None
        act = f"replaced sys.{' and sys.'.join(names)}"
        self._report(act, f"one of {', '.join(runs)}" if runs else None)

    def _report(self, act: str, culprit: str | None = None) -> None:
        culprit = culprit or self._culprit()
        now = steady()
        if now - self._reported.get((culprit, act), -_REPORTED_AGAIN) < _REPORTED_AGAIN:
            return
        if len(self._reported) > 1000:
            self._reported.clear()
        self._reported[culprit, act] = now
        log.warning(
            "logging was set anew, the node's own goes on",
            extra={"by": culprit, "act": act, "hint": _HINT},
        )
        self._status.trouble("logging", f"{culprit} {act}; it goes on: {_HINT}", SHOWN_FOR)

    def _culprit(self) -> str:
        scope = current_run.get()
        if scope is not None:
            return f"run {scope.run_id} of job '{scope.job}'"
        calling = self._importing or self.calling()
        if calling is not None:
            return calling
        runs = self._status.under_way()[:5]
        return f"one of {', '.join(runs)}" if runs else "a plugin, or a run that has ended"


def own_stderr() -> TextIO:
    """Return stderr by a file descriptor of our own, which no job closes or turns elsewhere."""
    try:
        return open(
            os.dup(sys.stderr.fileno()),
            "w",
            buffering=1,
            encoding=sys.stderr.encoding,
            errors="backslashreplace",
        )
    except (OSError, ValueError, AttributeError):
        return sys.stderr


def _ours(handler: logging.Handler) -> bool:
    return type(handler).__module__.partition(".")[0] == "sereno"
