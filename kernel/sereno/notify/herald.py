"""One node's part in telling: hears the engine's events, looks out, and sends."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from sereno.engine.status import Status
from sereno.model.errors import StoreError, StoreUnavailableError
from sereno.model.events import LeaderChanged, RunFinished, SlotSettled
from sereno.model.job import Job
from sereno.model.notification import Notifier
from sereno.model.policies import Severity
from sereno.notify import wording
from sereno.notify.courier import Courier
from sereno.notify.lookout import EVERY, PATIENCE, Lookout
from sereno.notify.router import MessageRouter
from sereno.notify.routes import Routes
from sereno.notify.tally import Tally
from sereno.notify.teller import Teller
from sereno.observe.job_watch import JobWatch
from sereno.settings import NotifySettings
from sereno.store import notifications
from sereno.store.notifications import Draft
from sereno.store.pool import Database

log = logging.getLogger("sereno.notify")

_MAX_WAITING = 1_000
_LEAVING = 8.0
_FAILED = ("failed", "timed_out", "lost")


class Herald:
    """`now`: the database's time; `publish`: hears JobOverdue; `jobs`: for their severities;
    `tally`: counts what becomes of messages.

    `every`, `patience`: seconds, of its lookout.
    """

    # Over seven: it makes all that sends, and each of these goes to one other part of it; `every`
    # and `patience` are there for who cannot wait for half a minute, as a test.
    def __init__(
        self,
        db: Database,
        watch: JobWatch,
        status: Status,
        settings: NotifySettings,
        notifiers: Mapping[str, Notifier],
        jobs: Mapping[str, Job],
        *,
        now: Callable[[], datetime],
        publish: Callable[[object], None],
        tally: Tally | None = None,
        every: float = EVERY,
        patience: float = PATIENCE,
    ) -> None:
        self._db = db
        self._status = status
        self._jobs = jobs
        self._routes = Routes(settings, notifiers)
        self._waiting: deque[object] = deque()
        self._heard = asyncio.Event()
        self._lost = 0
        self._teller = Teller(
            db,
            status.node,
            self._routes,
            settings.repeat_every,
            now=now,
            told=lambda: self._courier.wake(),
        )
        self._lookout = Lookout(
            db,
            watch,
            status,
            self._teller,
            publish=publish,
            repeat_every=settings.repeat_every,
            keep=settings.keep,
            every=every,
            patience=patience,
        )
        tally = tally or Tally(notifiers)
        self._courier = Courier(
            db,
            status.node,
            notifiers,
            settings.retry,
            MessageRouter(db, status.node, self._routes, notifiers, tally, now=now),
            once=settings.delivery == "at_most_once",
            on_duty=lambda: self._lookout.on_duty,
            tally=tally,
        )

    def hear(self, event: object) -> None:
        """Take `event` in, when anybody is to be told of it; never blocks."""
        if not self._is_told(event):
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._waiting.popleft()
            self._lost += 1
            if self._lost & (self._lost - 1) == 0:
                log.error("too much to tell, events are lost", extra={"lost": self._lost})
        self._waiting.append(event)
        self._heard.set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Tell, look out and send meanwhile; at the end tell what is left, for a few seconds."""
        tasks = [asyncio.ensure_future(self._tell_for_ever())]
        tasks.append(asyncio.ensure_future(self._lookout.work()))
        tasks.append(asyncio.ensure_future(self._courier.work()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self.finish()

    async def finish(self) -> None:
        """Tell what was heard, and send what is due, for a few seconds."""
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(_LEAVING):
                while self._waiting:
                    event = self._waiting[0]
                    await self._tell(event)
                    self._done(event)
        await self._courier.finish(_LEAVING)

    async def look(self) -> None:
        """Look once for jobs that are overdue, or no longer are. Raises StoreError."""
        await self._lookout.look()

    async def _tell_for_ever(self) -> None:
        while True:
            await self._heard.wait()
            self._heard.clear()
            while self._waiting:
                event = self._waiting[0]
                try:
                    await self._tell(event)
                except StoreUnavailableError as error:
                    log.debug("what is to be told waits", extra={"error": str(error)})
                    await asyncio.sleep(1)
                    continue
                except Exception:
                    log.exception(
                        "an event cannot be told", extra={"event_kind": type(event).__name__}
                    )
                self._done(event)

    def _done(self, event: object) -> None:
        if self._waiting and self._waiting[0] is event:
            self._waiting.popleft()

    async def _tell(self, event: object) -> None:
        draft = await self._draft(event)
        if draft is not None:
            await self._teller.tell(draft)

    async def _draft(self, event: object) -> Draft | None:
        now = self._teller.now()
        if isinstance(event, RunFinished):
            known = await notifications.run_state(self._db, event.run_id)
            # A node that came too late thinks that the run is lost, while another runs it.
            over = known is None or known[0] in _FAILED
            return wording.failed(event, self._severity(event.job), now) if over else None
        if isinstance(event, SlotSettled):
            return wording.missed(event, self._severity(event.job), now)
        if isinstance(event, LeaderChanged):
            return wording.leads(event, self._status.label, now)
        return None

    def _is_told(self, event: object) -> bool:
        if isinstance(event, RunFinished):
            severity = self._severity(event.job)
            return event.state in _FAILED and self._routes.any("run_failed", severity, event.job)
        if isinstance(event, SlotSettled):
            severity = self._severity(event.job)
            return event.verdict == "missed" and self._routes.any(
                "slot_missed", severity, event.job
            )
        if isinstance(event, LeaderChanged):
            return event.leading and self._routes.any("leader_changed", "info", None)
        return False

    def _severity(self, job: str) -> Severity:
        known = self._jobs.get(job)
        return "warning" if known is None else known.policies.severity
