"""Puts what is to be told into the table, for those whom the routes name."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sereno.notify.routes import Routes
from sereno.store import notifications
from sereno.store.notifications import HOOKS, Draft
from sereno.store.pool import Database


class Teller:
    """`now`: the database's time. `told`: called when there is something to send."""

    def __init__(
        self,
        db: Database,
        node: UUID,
        routes: Routes,
        repeat_every: timedelta,
        *,
        now: Callable[[], datetime],
        told: Callable[[], None],
    ) -> None:
        self._db = db
        self._node = node
        self.routes = routes
        self._repeat_every = repeat_every
        self.now = now
        self._told = told

    async def tell(self, draft: Draft, *, hooks: bool = False) -> set[str]:
        """Tell `draft` to those who have not been told; return them. Raises StoreError.

        `hooks`: plugins' hooks count as one of them.
        """
        when = dict(self.routes.when(draft.kind, draft.severity, draft.job, self.now()))
        if hooks:
            when[HOOKS] = None
        new = await notifications.raise_(self._db, self._node, draft, when, self._repeat_every)
        if new:
            self._told()
        return new

    async def over(self, draft: Draft) -> set[str]:
        """Tell that it is over to those who were told; return who they were. Raises StoreError."""
        now = self.now()
        told = await notifications.resolve(
            self._db,
            self._node,
            draft,
            lambda severity: {
                HOOKS: None,
                **self.routes.when(draft.kind, severity, draft.job, now, resolved=True),
            },
        )
        if told:
            self._told()
        return told
