"""Carries what waits in the table to its notifiers: each message by one node, again until it
arrives."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID

import msgspec

from sereno.model.errors import (
    DeliveryError,
    DeliveryRefusedError,
    StoreError,
    StoreUnavailableError,
)
from sereno.model.fault import message
from sereno.model.notification import Notifier
from sereno.model.retry import Tries, chance
from sereno.model.text import shortened
from sereno.notify.router import MessageRouter
from sereno.notify.tally import Fate, Tally
from sereno.settings import redact
from sereno.store import notifications
from sereno.store.messages import with_attachments
from sereno.store.notifications import Parcel
from sereno.store.pool import Database

log = logging.getLogger("sereno.notify")

SEND_LIMIT = 30.0
"""Seconds that one try may take."""

_CLAIM = timedelta(seconds=2 * SEND_LIMIT)
_AT_ONCE = 20
_MAX_ERROR = 500


class Courier:
    """`on_duty`: whether this node looks after what others have raised; what it raised itself it
    sends at once. `tally`: counts what becomes of messages. `every`: seconds between looks."""

    # Over seven: what it does is set by the configuration, and each setting is one word.
    def __init__(
        self,
        db: Database,
        node: UUID,
        notifiers: Mapping[str, Notifier],
        retry: Tries,
        router: MessageRouter,
        *,
        once: bool = False,
        on_duty: Callable[[], bool],
        tally: Tally,
        every: float = 5.0,
    ) -> None:
        self._db = db
        self._node = node
        self._notifiers = notifiers
        self._retry = retry
        self._router = router
        self._once = once
        self._on_duty = on_duty
        self._tally = tally
        self._every = every
        self._woken = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look at once: something may be due."""
        self._woken.set()

    async def work(self) -> None:
        """Send what is due, for ever."""
        while True:
            woken = self._woken.is_set()
            self._woken.clear()
            if woken or self._on_duty():
                try:
                    await self.turn()
                except StoreUnavailableError as error:
                    log.debug("notifications wait", extra={"error": str(error)})
                except Exception:
                    log.exception("notifications cannot be sent")
            try:
                async with asyncio.timeout(self._every):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Route what jobs have said, and begin to send all that is due, as many at once as may be.
        Raises StoreError."""
        await self._router.route()
        while self._notifiers and (room := _AT_ONCE - len(self._sending)) > 0:
            parcels = await notifications.claim(
                self._db, self._node, self._notifiers, _CLAIM, room, once=self._once
            )
            for parcel in parcels:
                task = asyncio.ensure_future(self._deliver(parcel))
                self._sending.add(task)
                task.add_done_callback(self._sent)
            if len(parcels) < room:
                return

    async def finish(self, limit: float) -> None:
        """Send what is due and wait for its end, `limit` seconds at most; the rest is left to other
        nodes."""
        try:
            async with asyncio.timeout(limit):
                await self.turn()
                while self._sending:
                    await asyncio.wait(self._sending)
        except (StoreError, TimeoutError) as error:
            log.warning("notifications are left behind", extra={"error": str(error)})
        for task in self._sending:
            task.cancel()

    def _sent(self, task: asyncio.Task[None]) -> None:
        if len(self._sending) == _AT_ONCE:
            self._woken.set()  # there was no room: more may wait
        self._sending.discard(task)

    async def _deliver(self, parcel: Parcel) -> None:
        error, again, unknown = await self._try(parcel)
        if again is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(again.total_seconds() + 0.05, self.wake)
        for _ in range(10):
            try:
                await notifications.done(self._db, parcel, error, again, unknown=unknown)
                return
            except StoreError as fault:
                log.debug("a notification's record waits", extra={"error": str(fault)})
                await asyncio.sleep(2)

    async def _try(self, parcel: Parcel) -> tuple[str | None, timedelta | None, bool]:
        """Send `parcel`; return what went wrong, when to try again, and whether it may have
        arrived."""
        fault = await self._send(parcel)
        if fault is None:
            self._tally.count(parcel.notifier, "sent")
            log.info("notified", extra=_facts(parcel))
            return None, None, False
        again = None if fault.final else self._retry.wait(parcel.attempt, chance())
        given_up: Fate = "unknown" if fault.unknown else "failed"
        self._tally.count(parcel.notifier, given_up if again is None else "retried")
        error = redact(shortened(fault.sentence, _MAX_ERROR))
        facts = {**_facts(parcel), "error": error, "attempt": parcel.attempt}
        if again is None:
            told = "nobody knows whether a notification has arrived" if fault.unknown else None
            log.error(told or "a notification could not be delivered", extra=facts)
        else:
            log.warning("a notification is tried again", extra=facts)
        return error, again, fault.unknown

    async def _send(self, parcel: Parcel) -> "_Fault | None":
        try:
            async with asyncio.timeout(SEND_LIMIT):
                sent = parcel.notification
                if parcel.message is not None:
                    sent = await with_attachments(self._db, sent, parcel.message)
                await self._notifiers[parcel.notifier].send(sent)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return _Fault("it was cancelled from within", self._once, unknown=True)
        except TimeoutError:
            return _Fault(f"it took longer than {SEND_LIMIT:.0f} s", self._once, unknown=True)
        except DeliveryRefusedError as fault:
            return _Fault(message(fault), final=True)
        except (DeliveryError, StoreError) as fault:  # nothing has arrived, for certain
            return _Fault(message(fault))
        except (Exception, SystemExit) as fault:
            return _Fault(message(fault) or type(fault).__name__, self._once, unknown=self._once)
        return None


class _Fault(msgspec.Struct, frozen=True):
    """Why a try failed. `final`: there is no other; `unknown`: it may have arrived."""

    sentence: str
    final: bool = False
    unknown: bool = False


def _facts(parcel: Parcel) -> dict[str, object]:
    return {
        "notifier": parcel.notifier,
        "about": parcel.notification.key,
        "notification": parcel.notification.id,
        "resolved": parcel.notification.resolved,
    }
