"""Gives each message of a job to those who are to carry it, once over all nodes."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from sereno.model.notification import Notifier
from sereno.notify.routes import Routes
from sereno.notify.tally import Tally
from sereno.store import messages
from sereno.store.messages import WaitingMessage
from sereno.store.pool import Database

log = logging.getLogger("sereno.notify")

_AT_ONCE = 50


class MessageRouter:
    """`now`: the database's time. `tally`: counts what nobody carries."""

    def __init__(
        self,
        db: Database,
        node: UUID,
        routes: Routes,
        notifiers: Mapping[str, Notifier],
        tally: Tally,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._node = node
        self._routes = routes
        self._notifiers = notifiers
        self._tally = tally
        self._now = now

    async def route(self) -> None:
        """Route all that waits; what nobody carries stays in the table, and is counted."""
        while True:
            done = await messages.route(self._db, self._node, _AT_ONCE, self._carriers_of)
            for message, when in done:
                if not when:
                    self._tally.keep()
                    log.warning(
                        "nobody carries a message of a job, it is kept",
                        extra={"job": message.job, "message_row": message.id},
                    )
            if len(done) < _AT_ONCE:
                return

    def _carriers_of(self, message: WaitingMessage) -> Mapping[str, datetime | None]:
        when = self._routes.when("message", message.severity, message.job, self._now())
        if message.to_anyone:
            return when
        return {n: due for n, due in when.items() if self._notifiers[n].takes_addresses}
