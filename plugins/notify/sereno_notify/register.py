"""Puts what is to be told into the table, for those whom the routes name."""

from collections.abc import Callable
from datetime import timedelta

from sereno import CarrierContext
from sereno_notify import notifications
from sereno_notify.notifications import Draft
from sereno_notify.routes import Routes


class Register:
    """`told`: called when there is something to send."""

    def __init__(
        self,
        context: CarrierContext,
        routes: Routes,
        repeat_every: timedelta,
        told: Callable[[], None],
    ) -> None:
        self._context = context
        self._routes = routes
        self._repeat_every = repeat_every
        self._told = told

    async def report(self, draft: Draft) -> set[str]:
        """Tell `draft` to those who have not been told; return them. Raises StoreError."""
        when = self._routes.when(draft.kind, draft.severity, draft.job, self._context.now())
        new = await notifications.raise_(self._context, draft, when, self._repeat_every)
        if new:
            self._told()
        return new

    async def over(self, draft: Draft) -> set[str]:
        """Tell that it is over to those who were told; return who they were. Raises StoreError."""
        now = self._context.now()
        told = await notifications.resolve(
            self._context,
            draft,
            lambda severity: self._routes.when(draft.kind, severity, draft.job, now, resolved=True),
        )
        if told:
            self._told()
        return told
