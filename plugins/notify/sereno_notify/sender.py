"""Sends what waits in the table through its notifiers: each message by one node, again until it
arrives."""

import asyncio
import logging
import random
from datetime import timedelta
from typing import Literal

import msgspec

from sereno import (
    CarrierContext,
    DeliveryError,
    DeliveryRefusedError,
    Retry,
    StoreError,
    StoreUnavailableError,
)
from sereno_notify import notifications
from sereno_notify.notifications import Delivery
from sereno_notify.outbox import with_attachments
from sereno_notify.router import MessageRouter

log = logging.getLogger("sereno.notify")

SEND_LIMIT = 30.0
"""Seconds that one try may take."""

_CLAIM = timedelta(seconds=2 * SEND_LIMIT)
_AT_ONCE = 20
_MAX_ERROR = 500


class Sender:
    """One node's. What this node raises it sends at once; what others have raised, while it is on
    duty. `once`: what may have arrived is not sent again. `every`: seconds between looks."""

    def __init__(
        self,
        context: CarrierContext,
        retry: Retry,
        router: MessageRouter,
        *,
        once: bool = False,
        every: float = 5.0,
    ) -> None:
        self._context = context
        self._notifiers = context.notifiers
        self._retry = retry
        self._router = router
        self._once = once
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
            if woken or self._context.on_duty():
                try:
                    await self.poll()
                except StoreUnavailableError as error:
                    log.debug("notifications wait", extra={"error": str(error)})
                except Exception:
                    log.exception("notifications cannot be sent")
            try:
                async with asyncio.timeout(self._every):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def poll(self) -> None:
        """Route what jobs have said, and begin to send all that is due, as many at once as may be.
        Raises StoreError."""
        await self._router.route()
        while self._notifiers and (room := _AT_ONCE - len(self._sending)) > 0:
            deliveries = await notifications.claim(
                self._context, self._notifiers, _CLAIM, room, once=self._once
            )
            for delivery in deliveries:
                task = asyncio.ensure_future(self._deliver(delivery))
                self._sending.add(task)
                task.add_done_callback(self._sent)
            if len(deliveries) < room:
                return

    async def finish(self, limit: float) -> None:
        """Send what is due and wait for its end, `limit` seconds at most; the rest is left to other
        nodes."""
        try:
            async with asyncio.timeout(limit):
                await self.poll()
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

    async def _deliver(self, delivery: Delivery) -> None:
        error, again, unknown = await self._try(delivery)
        if again is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(again.total_seconds() + 0.05, self.wake)
        for _ in range(10):
            try:
                await notifications.done(self._context, delivery, error, again, unknown=unknown)
                return
            except StoreError as fault:
                log.debug("a notification's record waits", extra={"error": str(fault)})
                await asyncio.sleep(2)

    async def _try(self, delivery: Delivery) -> tuple[str | None, timedelta | None, bool]:
        """Send `delivery`; return what went wrong, when to try again, and whether it may have
        arrived."""
        fault = await self._send(delivery)
        if fault is None:
            self._context.counts.count(delivery.notifier, "sent")
            log.info("notified", extra=_facts(delivery))
            return None, None, False
        again = None if fault.final else self._retry.wait(delivery.attempt, random.random())  # noqa: S311
        given_up: Literal["unknown", "failed"] = "unknown" if fault.unknown else "failed"
        self._context.counts.count(delivery.notifier, given_up if again is None else "retried")
        error = fault.sentence
        facts = {**_facts(delivery), "error": error, "attempt": delivery.attempt}
        if again is None:
            told = "nobody knows whether a notification has arrived" if fault.unknown else None
            log.error(told or "a notification could not be delivered", extra=facts)
        else:
            log.warning("a notification is tried again", extra=facts)
        return error, again, fault.unknown

    async def _send(self, delivery: Delivery) -> "_Fault | None":
        try:
            async with asyncio.timeout(SEND_LIMIT):
                sent = delivery.notification
                if delivery.message is not None:
                    sent = await with_attachments(self._context, sent, delivery.message)
                await self._notifiers[delivery.notifier].send(sent)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return _Fault("it was cancelled from within", self._once, unknown=True)
        except TimeoutError:
            return _Fault(f"it took longer than {SEND_LIMIT:.0f} s", self._once, unknown=True)
        except DeliveryRefusedError as fault:
            return _Fault(self._context.shown(fault, _MAX_ERROR), final=True)
        except (DeliveryError, StoreError) as fault:  # nothing has arrived, for certain
            return _Fault(self._context.shown(fault, _MAX_ERROR))
        except (Exception, SystemExit) as fault:
            return _Fault(self._context.shown(fault, _MAX_ERROR), self._once, unknown=self._once)
        return None


class _Fault(msgspec.Struct, frozen=True):
    """Why a try failed. `final`: there is no other; `unknown`: it may have arrived."""

    sentence: str
    final: bool = False
    unknown: bool = False


def _facts(delivery: Delivery) -> dict[str, object]:
    return {
        "notifier": delivery.notifier,
        "about": delivery.notification.key,
        "notification": delivery.notification.id,
        "resolved": delivery.notification.resolved,
    }
