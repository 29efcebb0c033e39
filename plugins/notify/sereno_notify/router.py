"""Gives each message of a job to those who are to carry it, once over all nodes."""

import logging
from collections.abc import Mapping
from datetime import datetime

from sereno import CarrierContext
from sereno_notify import outbox
from sereno_notify.outbox import WaitingMessage
from sereno_notify.routes import Routes

log = logging.getLogger("sereno.notify")

_AT_ONCE = 50


class MessageRouter:
    """Routes by `routes`; what nobody carries is counted."""

    def __init__(self, context: CarrierContext, routes: Routes) -> None:
        self._context = context
        self._routes = routes

    async def route(self) -> None:
        """Route all that waits; what nobody carries stays in the table, and is counted."""
        while True:
            done = await outbox.route(self._context, _AT_ONCE, self._carriers_of)
            for message, when in done:
                if not when:
                    self._context.counts.keep()
                    log.warning(
                        "nobody carries a message of a job, it is kept",
                        extra={"job": message.job, "message_row": message.id},
                    )
            if len(done) < _AT_ONCE:
                return

    def _carriers_of(self, message: WaitingMessage) -> Mapping[str, datetime | None]:
        now = self._context.now()
        when = self._routes.when("message", message.severity, message.job, now)
        if message.to_anyone:
            return when
        notifiers = self._context.notifiers
        return {n: due for n, due in when.items() if notifiers[n].takes_addresses}
