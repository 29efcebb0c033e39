"""Carries the engine's events to metrics at once, and to plugins' hooks one after another."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from sereno.plugins import HookDispatcher

log = logging.getLogger("sereno.events")

_MAX_WAITING = 10_000


class Bus:
    """`publish` never blocks and never raises; hooks that cannot keep up lose events, and are
    named."""

    def __init__(self, hooks: HookDispatcher) -> None:
        self._dispatcher = hooks
        self._observers: dict[type, list[Callable[[Any], None]]] = {}
        self._queue: asyncio.Queue[object] = asyncio.Queue(_MAX_WAITING)
        self._dropped = 0

    def observe(self, observer: Callable[[Any], None], *kinds: type) -> None:
        """Call `observer` with each event of these `kinds`, at once.

        Who asks for all of them would be called twice a run, in vain: that is a tenth of its cost.
        """
        for kind in kinds:
            self._observers.setdefault(kind, []).append(observer)

    def publish(self, event: object) -> None:
        """Pass `event` on to everybody."""
        for observer in self._observers.get(type(event), ()):
            try:
                observer(event)
            except Exception:
                log.exception("an observer failed", extra={"event_kind": type(event).__name__})
        if not self._dispatcher.subscribed(event):
            return
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._dropped += 1
            if self._dropped & (self._dropped - 1) == 0:
                log.error("hooks are too slow, events are lost", extra={"dropped": self._dropped})

    async def work(self) -> None:
        """Call plugins' hooks for ever."""
        while True:
            await self._dispatcher.emit(await self._queue.get())
            self._queue.task_done()

    async def drained(self) -> None:
        """Return once plugins have heard all."""
        await self._queue.join()
