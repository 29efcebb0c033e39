"""Keeps the limits that the system sets to this process as they were, where a job lowers them.

What a job sets for itself holds for all that its process does: with little memory no thread begins,
with little processor time the system ends it without a word. Limits that a job lowers for good
(the hard ones) nobody can raise again. Those of files are `Descriptors`'.
"""

import logging
import math
import resource
import signal
import threading
from typing import Any

from sereno.engine.status import Status

log = logging.getLogger("sereno.kernel")

_NAMES = (
    "RLIMIT_AS",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_NPROC",
    "RLIMIT_STACK",
)
_SHOWN_FOR = 600.0


class ProcessLimits:
    """The limits of this process. `begin` and `end` are for its main thread: who calls them in
    another one is warned by no signal."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._soft: dict[str, int] = {}
        self._before: Any = None
        self._lowered: dict[str, int] = {}

    def begin(self) -> None:
        """Take the limits as they are for those that are to be kept."""
        known = [name for name in _NAMES if hasattr(resource, name)]
        self._soft = {name: resource.getrlimit(getattr(resource, name))[0] for name in known}
        if threading.current_thread() is threading.main_thread():
            # One that is set so low that it is over at once: its signal would end the process.
            self._before = signal.signal(
                signal.SIGXCPU, lambda *_: self._lowered.update(self._put_back())
            )

    def end(self) -> None:
        """Give the signal back."""
        if threading.current_thread() is threading.main_thread():
            handler = signal.SIG_DFL if self._before is None else self._before
            signal.signal(signal.SIGXCPU, handler)

    def poll(self) -> None:
        """Put back what was lowered, and log it with the runs under way."""
        self._lowered.update(self._put_back())
        while self._lowered:
            name, lowered = self._lowered.popitem()
            runs = self._status.under_way()
            log.error(
                "a limit of the process was lowered, and is put back: a job has set it",
                extra={"limit": name, "value": lowered, "runs": runs},
            )
            self._status.trouble(
                f"limit {name}",
                f"{name} of this process was set to {lowered}, and is put back: a job has called "
                'resource.setrlimit; executor="process" gives it a process of its own',
                _SHOWN_FOR,
            )

    def _put_back(self) -> dict[str, int]:
        found = {}
        for name, kept in self._soft.items():
            number = getattr(resource, name)
            soft, hard = resource.getrlimit(number)
            wanted = kept if _size(kept) <= _size(hard) else hard
            if _size(soft) < _size(wanted):
                resource.setrlimit(number, (wanted, hard))
                found[name] = soft
        return found


def _size(limit: int) -> float:
    return math.inf if limit == resource.RLIM_INFINITY else limit
