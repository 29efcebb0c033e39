"""Keeps some file descriptors for the node itself, where a job leaks its own.

The process asks for a limit a little below what it may have. Once jobs come near that, it takes
the rest: whoever leaks meets the limit and fails, and the node's own sockets go on.
"""

import errno
import logging
import os
import resource
from pathlib import Path

from sereno.engine.status import Status

log = logging.getLogger("sereno.kernel")

RESERVE = 64
_NEAR = 8
_ENOUGH = 4 * RESERVE
"""A process that may have fewer keeps none back."""

_FILES = Path("/proc/self/fd")
_SHOWN_FOR = 600.0


class Descriptors:
    """The descriptors of this process."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._all = 0
        self._kept_back = False

    def begin(self) -> None:
        """Keep some back."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if not _FILES.exists() or soft < _ENOUGH:
            return
        self._all = soft
        self._keep_back(hard)

    def poll(self) -> None:
        """Take what was kept back once it is needed, and keep it back again later."""
        if not self._all:
            return
        used = self._used()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if self._kept_back and used >= soft - _NEAR:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._all, hard))
            self._kept_back = False
            self._log_shortage(used, soft)
        elif not self._kept_back and used < self._all - 2 * RESERVE:
            self._keep_back(hard)

    def _keep_back(self, hard: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._all - RESERVE, hard))
        self._kept_back = True

    def _used(self) -> int:
        try:
            return len(os.listdir(_FILES))
        except OSError as error:  # to count them takes one
            return self._all if error.errno == errno.EMFILE else 0

    def _log_shortage(self, used: int, limit: int) -> None:
        runs = self._status.under_way()
        log.error(
            "file descriptors run out: a job leaves files or sockets open",
            extra={"open": used, "limit": limit, "runs": runs},
        )
        self._status.trouble(
            "descriptors",
            f"{used} of {limit} file descriptors were open: a job leaves files or sockets open"
            f" ({', '.join(runs[:5]) or 'no run is under way'}; lsof -p {os.getpid()} shows them)",
            _SHOWN_FOR,
        )
