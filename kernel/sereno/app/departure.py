"""Sees a node off: from the word that it is to stop, or its own fault, to the end of the process.

It ends in bounded time whatever stands in the way (a job that holds the loop or swallows its
cancellation, a hook that never returns, a thread that is joined at the end): a thread of its own
ends the process then, and its last line names the runs that were under way.
"""

import asyncio
import logging
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from sereno.app.life import Stay
from sereno.engine.clock import steady
from sereno.engine.forks import NODE_SIGNALS, own_timers

log = logging.getLogger("sereno.kernel")

FORCED = 130
"""The exit code of a node whose second Ctrl-C did not let its runs end."""

_FAULT = 1
_WRITING = 15.0
"""Seconds after the drain's limit in which runs that were told to stop do so, their outcomes are
written, and plugins close what they have opened."""

_AT_ONCE = 3.0
"""Seconds for the same where a second Ctrl-C forces the end."""

_CLOSING = 5.0
"""Seconds from the end of all that to the end of the process."""

_LEFT = 0.5
"""The same where a run has been left behind: nothing but it could still be waited for."""

_LAST_LINE = 3.0

_SHOWN_FOR = 3600.0
"""Seconds for which the health page tells of signals that were taken."""

_SIGNALS_HINT = (
    "signals belong to the whole process: leave out signal.signal, signal.alarm, setitimer,"
    " loop.add_signal_handler and pthread_sigmask, or give the job executor='process'"
)


_NEVER = -math.inf
"""Among the limits: the node is over, and the process is somebody else's."""


class Departure:
    """Waits for the word, has `stay` end, and bounds what follows.

    `drain`: how long runs may go on.
    `ends_process`: the process is this node's, and ends with it.

    `under_way`: names the runs that this node works on; may be asked from any thread. `trouble`:
    has the health page tell of something, and for how many seconds. `hook`: names the hook that is
    being called.
    """

    def __init__(
        self,
        stay: Stay,
        drain: timedelta,
        under_way: Callable[[], Sequence[str]],
        trouble: Callable[[str, str, float], None] = lambda *_: None,
        *,
        ends_process: bool = True,
    ) -> None:
        self._stay = stay
        self.hook: Callable[[], str | None] = lambda: None
        self._drain = drain.total_seconds()
        self._under_way = under_way
        self._trouble = trouble
        self.ends_process = ends_process
        self._before: dict[signal.Signals, Any] = {}
        self._loop = asyncio.get_running_loop()
        self._signals: list[int] = []
        self._timers: list[int] = []
        self._on_stop: list[Callable[[], None]] = []
        self._code = _FAULT
        self._main = threading.get_ident()
        # What a signal handler may use: it can interrupt this thread in the midst of any lock.
        self._limits: SimpleQueue[float] = SimpleQueue()

    def begin(self) -> None:
        """Handle signals from now on."""
        threading.Thread(target=self._watch, name="sereno departure", daemon=True).start()
        for number in NODE_SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        own_timers(self._on_timer)

    def poll(self) -> None:
        """Check that this node still gets its signals: a handler or a mask is the whole process's,
        and a job may have set either."""
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, NODE_SIGNALS) & set(NODE_SIGNALS)
        taken = {n for n in NODE_SIGNALS if signal.getsignal(n) != self._on_signal}
        for number in taken:
            signal.signal(number, self._on_signal)
        own_timers(self._on_timer)
        if blocked | taken:
            what = "signals were taken from this node, which hears them again"
            self._log_signals(blocked | taken, what)
        if self._timers:
            heard = set(self._timers)
            self._timers.clear()
            self._log_signals(heard, "a timer of a job ran out, which would have ended the node")

    def _on_timer(self, number: int, _frame: object) -> None:
        self._timers.append(number)  # it is told in the loop: this may interrupt anything

    def _log_signals(self, numbers: Iterable[int], what: str) -> None:
        names = [signal.Signals(n).name for n in sorted(numbers)]
        runs = list(self._under_way())[:5]
        log.warning(what, extra={"signals": names, "runs": runs, "hint": _SIGNALS_HINT})
        by = f"one of {', '.join(runs)}" if runs else "a plugin, or a run that has ended"
        sentence = f"{what} ({', '.join(names)}; by {by}): {_SIGNALS_HINT}"
        self._trouble("signals", sentence, _SHOWN_FOR)

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the loop when the node is told to stop."""
        self._on_stop.append(callback)

    def within(self, seconds: float) -> None:
        """End the process in so many seconds if it has not ended by itself."""
        self._limits.put(steady() + seconds)

    def over(self, code: int) -> int:
        """Return the exit code of a node that has done all it had to.

        The process ends soon, too, or gets back what was taken from it.
        """
        self._code = FORCED if self._stay.force.is_set() else code
        if not self.ends_process:
            self._limits.put(_NEVER)
            for number, handler in self._before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            return self._code
        # The interpreter forgets handlers as it ends: a timer that a job has left would kill it.
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        self.within(_LEFT if self._under_way() else _CLOSING)
        return self._code

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)
        again = len(self._signals) > 1 and number == signal.SIGINT
        if len(self._signals) == 1:
            self.within(self._drain + _WRITING)
        elif again:
            self.within(_AT_ONCE)
        with suppress(RuntimeError):  # the loop is closed: the process is about to end
            self._loop.call_soon_threadsafe(self._take, number, again)

    def _take(self, number: int, again: bool) -> None:
        name = signal.Signals(number).name
        if not self._stay.stop.is_set():
            self._stay.stop.set()
            self._log_first(name)
            for callback in self._on_stop:
                callback()
        elif again and not self._stay.force.is_set():
            self._stay.force.set()
            facts = {"signal": name, "runs": self._under_way()}
            log.warning("told to stop again: runs under way are left", extra=facts)

    def _log_first(self, name: str) -> None:
        runs = self._under_way()
        if not runs:
            log.info("told to stop", extra={"signal": name})
            return
        until = datetime.now(UTC) + timedelta(seconds=self._drain)  # noqa: TID251 - for who reads this log
        facts = {
            "signal": name,
            "running": len(runs),
            "runs": runs,
            "until": until.isoformat(timespec="seconds"),
            "hint": "Ctrl-C once more ends them at once",
        }
        log.warning("told to stop: waiting for runs to end", extra=facts)

    def _watch(self) -> None:
        """End the process once the earliest limit that was set has passed."""
        limit = self._limits.get()
        with suppress(Empty):
            while limit is not _NEVER:
                given = self._limits.get(timeout=max(0.0, limit - steady()))
                limit = given if given is _NEVER else min(limit, given)
        if limit is _NEVER:
            return
        # The log may be what holds the process up.
        last = threading.Thread(target=self._log_last, daemon=True)
        last.start()
        last.join(_LAST_LINE)
        os._exit(self._code)

    def _log_last(self) -> None:
        frame = sys._current_frames().get(self._main)
        stack = "" if frame is None else "".join(traceback.format_stack(frame)[-8:])
        log.critical(
            "this node did not end in time, it is ended now",
            extra={
                "runs": self._under_way(),
                "threads": _joined(),
                "hook": self.hook(),
                "where": stack,
            },
        )
        logging.shutdown()


def _joined() -> list[str]:
    """Name the threads that the interpreter waits for at its end."""
    main = threading.main_thread()
    return [t.name for t in threading.enumerate() if not t.daemon and t is not main]
