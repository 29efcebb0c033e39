"""Pings a URL per job, as watchdogs such as Healthchecks want it: start, success, fail.

They tell when a ping does not come: also when the whole cluster is gone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid5

from sereno import DeliveryError, DeliveryRefusedError, RunFinished, RunStarted
from sereno_notify.settings import Ping
from sereno_notify.unanswered import UnansweredError
from sereno_notify.web import post

log = logging.getLogger(__name__)

_OURS = UUID("5e7e0a11-0000-4000-8000-000000000000")
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_MAX_WAITING = 100
_MAX_BODY = 10_000
_LEAVING = 10.0


@dataclass(frozen=True, slots=True)
class _Call:
    path: str
    run_id: int
    attempt: int
    body: str


class Pinger:
    """Sends the pings of each job in order, beside the runs. `waits`: seconds between tries.

    `parted`: jobs that work at each host or node. Their pings are of the run as a whole: one host's
    success does not hide another's failure.
    """

    def __init__(self, pings: Mapping[str, Ping], waits: tuple[float, ...] = _WAITS) -> None:
        self._pings = pings
        self.parted: Collection[str] = ()
        self._waits = waits
        self._queues: dict[str, asyncio.Queue[_Call]] = {}

    def started(self, event: RunStarted) -> None:
        """Tell that a run begins."""
        ping = self._pings.get(event.job)
        if ping is not None and ping.start and event.job not in self.parted:
            self._put(event.job, _Call("/start", event.run_id, event.attempt, ""))

    def finished(self, event: RunFinished) -> None:
        """Tell how a run ended; one that will be tried again, or was cancelled, has not."""
        if event.job not in self._pings or (event.job in self.parted and not event.parts):
            return
        if event.state == "succeeded":
            self._put(event.job, _Call("", event.run_id, event.attempt, ""))
        elif event.state in ("failed", "timed_out", "lost"):
            body = event.error or event.state
            self._put(event.job, _Call("/fail", event.run_id, event.attempt, body))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Send pings meanwhile, and what is left for a few seconds more."""
        self._queues = {job: asyncio.Queue(_MAX_WAITING) for job in self._pings}
        tasks = [asyncio.ensure_future(self._work(*item)) for item in self._queues.items()]
        try:
            yield
        finally:
            queues, self._queues = self._queues, {}
            try:
                async with asyncio.timeout(_LEAVING):
                    await asyncio.gather(*(queue.join() for queue in queues.values()))
            except TimeoutError:
                log.warning("pings are left behind")
            for task in tasks:
                task.cancel()

    def _put(self, job: str, call: _Call) -> None:
        queue = self._queues.get(job)
        if queue is None:
            return
        if queue.full():
            queue.get_nowait()
            queue.task_done()
            log.warning("pings wait too long, the oldest is dropped", extra={"job": job})
        queue.put_nowait(call)

    async def _work(self, job: str, queue: asyncio.Queue[_Call]) -> None:
        while True:
            call = await queue.get()
            try:
                await self._send(job, call)
            except Exception:
                log.exception("a ping cannot be sent", extra={"job": job})
            finally:
                queue.task_done()

    async def _send(self, job: str, call: _Call) -> None:
        ping = self._pings[job]
        run = uuid5(_OURS, f"{call.run_id}/{call.attempt}")
        base, _, query = ping.url.partition("?")
        extra = f"&{query}" if query else ""
        url = f"{base.rstrip('/')}{call.path}?rid={run}{extra}"
        headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "sereno-notify"}
        body = call.body.encode()[:_MAX_BODY]
        for wait in (*self._waits, None):
            try:
                await post(url, body, headers, ping.timeout.total_seconds())
                return
            except (DeliveryError, UnansweredError) as error:
                facts = {"job": job, "run": call.run_id, "error": str(error)}
                if wait is None or isinstance(error, DeliveryRefusedError):
                    log.error("a ping could not be delivered", extra=facts)
                    return
                log.debug("a ping is tried again", extra=facts)
                await asyncio.sleep(wait)
