"""One node's part in telling people: hears events, is shown how jobs are, and sends.

    event ──draft──► routes ──► sereno_notify.notification ──claim──► notifier.send
                                  (one open row per key and notifier)

Invariants: a thing (a `key`) is told once to each notifier until it is over or `repeat_every` has
passed, whatever node finds it out, and however many do; a message is claimed by one node at a time,
and sent again when that node dies on the way (so, after a crash, perhaps twice); what is over is
told to those alone who were told that it began; nothing here can hurt a run or the lead.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sereno import (
    Carrier,
    CarrierContext,
    LeaderChanged,
    RunFinished,
    RunStalled,
    Severity,
    Sight,
    SlotSettled,
    StoreError,
    StoreUnavailableError,
)
from sereno_notify import messages, notifications
from sereno_notify.monitor import Monitor
from sereno_notify.notifications import Draft
from sereno_notify.pinger import Pinger
from sereno_notify.register import Register
from sereno_notify.router import MessageRouter
from sereno_notify.routes import Routes
from sereno_notify.sender import Sender
from sereno_notify.settings import Settings

log = logging.getLogger("sereno.notify")

Event = RunFinished | RunStalled | SlotSettled | LeaderChanged

_MAX_WAITING = 1_000
_LEAVING = 8.0
_FAILED = ("failed", "timed_out", "lost")


class Service(Carrier):
    """What this plugin's lifespan yields. `every`: seconds between two looks for what is due."""

    def __init__(self, settings: Settings, every: float = 5.0) -> None:
        self.pinger = Pinger(settings.pings)
        self._settings = settings
        self._every = every
        self._node: _Telling | None = None

    @asynccontextmanager
    async def at_work(self, context: CarrierContext) -> AsyncIterator[None]:
        """Tell and send meanwhile; at the end tell what is left, for a few seconds."""
        self._node = node = _Telling(self._settings, context, self._every)
        self.pinger.parted = {name for name, job in context.jobs.items() if job.policies.parted}
        tasks = [
            asyncio.ensure_future(node.report_for_ever()),
            asyncio.ensure_future(node.sender.work()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await node.finish()
            self._node = None

    def take(self, event: Event) -> None:
        """Take `event` in, when anybody is to be told of it; never blocks."""
        if self._node is not None:
            self._node.take(event)

    async def observe(self, sight: Sight) -> None:
        """Tell of what is to be seen. Raises StoreError."""
        if self._node is not None:
            await self._node.monitor.observe(sight)
            self._node.sender.wake()

    async def finish(self) -> None:
        """Tell what was heard, and send what is due, for a few seconds."""
        if self._node is not None:
            await self._node.finish()


class _Telling:
    """The parts of a service while its node is up."""

    def __init__(self, settings: Settings, context: CarrierContext, every: float) -> None:
        self._context = context
        self._routes = Routes(settings.routes, context.notifiers)
        self._waiting: deque[Event] = deque()
        self._heard = asyncio.Event()
        self._lost = 0
        self.sender = Sender(
            context,
            settings.retry,
            MessageRouter(context, self._routes),
            once=settings.delivery == "at_most_once",
            every=every,
        )
        repeat = settings.repeat_every
        self._register = Register(context, self._routes, repeat, self.sender.wake)
        self.monitor = Monitor(context, self._register, repeat, settings.keep)

    def take(self, event: Event) -> None:
        if not self._is_wanted(event):
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._waiting.popleft()
            self._lost += 1
            if self._lost & (self._lost - 1) == 0:
                log.error("too much to tell, events are lost", extra={"lost": self._lost})
        self._waiting.append(event)
        self._heard.set()

    async def finish(self) -> None:
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(_LEAVING):
                while self._waiting:
                    event = self._waiting[0]
                    await self._report(event)
                    self._done(event)
        await self.sender.finish(_LEAVING)

    async def report_for_ever(self) -> None:
        while True:
            await self._heard.wait()
            self._heard.clear()
            while self._waiting:
                event = self._waiting[0]
                try:
                    await self._report(event)
                except StoreUnavailableError as error:
                    log.debug("what is to be told waits", extra={"error": str(error)})
                    await asyncio.sleep(1)
                    continue
                except Exception:
                    facts = {"event_kind": type(event).__name__}
                    log.exception("an event cannot be told", extra=facts)
                self._done(event)

    def _done(self, event: Event) -> None:
        if self._waiting and self._waiting[0] is event:
            self._waiting.popleft()

    async def _report(self, event: Event) -> None:
        draft = await self._draft(event)
        if draft is not None:
            await self._register.report(draft)

    async def _draft(self, event: Event) -> Draft | None:
        now = self._context.now()
        if isinstance(event, RunFinished):
            state = await notifications.run_state(self._context, event.run_id)
            # A node that came too late thinks that the run is lost, while another runs it.
            if state is not None and state not in _FAILED:
                return None
            return messages.failed(event, self._severity(event.job), now, self._context.shown)
        if isinstance(event, RunStalled):
            return messages.stalled(event, self._severity(event.job), now)
        if isinstance(event, SlotSettled):
            return messages.missed(event, self._severity(event.job), now)
        return messages.leads(event, self._context.label, now)

    def _is_wanted(self, event: Event) -> bool:
        routes = self._routes
        if isinstance(event, RunFinished):
            severity = self._severity(event.job)
            # Of a run with parts each that failed is told, and why.
            failed = event.state in _FAILED and not event.parts
            return failed and routes.any("run_failed", severity, event.job)
        if isinstance(event, RunStalled):
            severity = self._severity(event.job)
            return not event.resolved and routes.any("run_stalled", severity, event.job)
        if isinstance(event, SlotSettled):
            severity = self._severity(event.job)
            return event.verdict == "missed" and routes.any("slot_missed", severity, event.job)
        return event.leading and routes.any("leader_changed", "info", None)

    def _severity(self, job: str) -> Severity:
        known = self._context.jobs.get(job)
        return "warning" if known is None else known.policies.severity
