"""Watches the event loop from a thread: a job that blocks it is named, and cannot keep the lead.

A blocked loop fires nothing, and beats no more; the server would end the lease in the end. Past
`limit` the watchdog cuts the leader's session itself, so that another node leads sooner.
"""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

from sereno.engine.blockage import Blockage
from sereno.engine.clock import steady
from sereno.engine.loop_guard import owner_of
from sereno.engine.status import Status

log = logging.getLogger("sereno.watchdog")

ASKED_EVERY = 0.5
"""Seconds between the questions to the loop whether it lives."""

BLOCKED_AFTER = 1.0
"""Seconds without an answer after which the loop counts as blocked, and what blocks it is named."""


class Watchdog:
    """Calls `cut`, in its own thread, once the loop was blocked for `limit` seconds."""

    def __init__(
        self,
        status: Status,
        limit: float,
        cut: Callable[[], None],
        blockage: Blockage | None = None,
    ) -> None:
        """`blockage`: is given which run holds the loop, and for how long."""
        self._status = status
        self._limit = limit
        self._cut = cut
        self._blockage = blockage
        self._asked: float | None = None
        self._ended = threading.Event()
        self._main = threading.get_ident()

    async def work(self) -> None:
        """Watch for ever, and measure how late each sign of life comes."""
        loop = asyncio.get_running_loop()
        watching = threading.Thread(
            target=self._watch, args=(loop,), name="sereno watchdog", daemon=True
        )
        watching.start()
        try:
            await loop.create_future()
        finally:
            self._ended.set()

    def _answer(self) -> None:
        """Give a sign of life: what the loop was asked to do."""
        if self._asked is not None:
            self._status.loop_lag = steady() - self._asked
        self._asked = None

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        logged = cut = False
        while not self._ended.wait(ASKED_EVERY):
            asked = self._asked
            if asked is None:
                if logged and self._blockage is not None:
                    self._blockage.over()
                logged = cut = False
                self._asked = steady()
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(self._answer)
                continue
            silent = steady() - asked
            if silent < BLOCKED_AFTER:
                continue
            self._status.loop_lag = silent
            if not logged:
                logged = True
                self._status.loop_blocked += 1
                log.error("the event loop is blocked", extra=self._culprit(loop, silent))
            self._keep(loop, silent)
            if not cut and silent >= self._limit and self._status.leading:
                cut = True
                log.error(
                    "giving the lead up: the event loop is blocked", extra={"seconds": silent}
                )
                self._cut()

    def _keep(self, loop: asyncio.AbstractEventLoop, silent: float) -> None:
        task = asyncio.current_task(loop)
        scope = None if task is None else owner_of(task)
        if scope is not None and self._blockage is not None:
            self._blockage.holds(scope, silent)

    def _culprit(self, loop: asyncio.AbstractEventLoop, silent: float) -> dict[str, object]:
        """Return which task holds the loop, and where it is."""
        task = asyncio.current_task(loop)
        frame = sys._current_frames().get(self._main)
        stack = "" if frame is None else "".join(traceback.format_stack(frame)[-12:])
        return {
            "seconds": round(silent, 1),
            "task": "unknown" if task is None else task.get_name(),
            "traceback": stack,
        }
