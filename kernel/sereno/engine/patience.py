"""Leads on while other sessions keep locks that the leader's work needs, or what others have added
to our tables (a trigger, a constraint) refuses it.

To give the lead up would help nobody: the next leader would meet the same. So the pool's
statements wait for a lock for a part of the lease only, the leader goes on beating, and what could
not be done is done at a later tick.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sereno.engine.clock import steady
from sereno.engine.status import Status
from sereno.model.errors import StoreError, StoreLockedError
from sereno.store import holder
from sereno.store.pool import Database

log = logging.getLogger("sereno.leader")

AGAIN = 0.25
"""Seconds until the next try."""

_LOGGED_EVERY = 30.0

_SHOWN_FOR = 5.0
"""Seconds for which the health page tells of a refusal after the last one."""


class Patience:
    """One term's."""

    def __init__(self, db: Database, status: Status) -> None:
        self._db = db
        self._status = status
        self._until = 0.0
        self._log_at = 0.0

    def rest(self) -> float:
        """Return for how many seconds the leader rests, for it has met a lock."""
        return max(0.0, self._until - steady())

    async def run(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do `work`; when a lock is in its way, or the database refuses it, log that, and leave it
        for the next tick."""
        try:
            await work()
        except StoreLockedError as error:
            self._until = steady() + AGAIN
            if steady() >= self._log_at:
                self._log_at = steady() + _LOGGED_EVERY
                await self._log_holders(str(error))
        except StoreError as error:
            if type(error) is not StoreError:  # away, without a right, of another schema
                raise
            self._until = steady() + AGAIN
            self._refused(str(error))

    def _refused(self, error: str) -> None:
        self._status.trouble(
            "refused", f"the database refuses what fires and begins runs: {error}", _SHOWN_FOR
        )
        if steady() >= self._log_at:
            self._log_at = steady() + _LOGGED_EVERY
            log.error(
                "the database refuses what the leader does; it leads on, and tries again",
                extra={"error": error},
            )

    async def _log_holders(self, error: str) -> None:
        sessions = ""
        with suppress(StoreError):
            sessions = await holder.users(self._db)
        log.warning(
            "others keep locked what the leader needs; it leads on, and tries again",
            extra={"error": error, "sessions": sessions},
        )
