"""Verbs on who may lead: a hand-over, the drain of one node, the rest of all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sereno.client.verbs import Duration, Verbs, check_texts
from sereno.engine.clock import steady
from sereno.model.duration import parse_duration
from sereno.model.errors import ConflictError, NotFoundError, ParamsError, WaitTimeoutError
from sereno.model.suggestion import suggestion
from sereno.model.text import shortened, visible
from sereno.model.titles import checked_title
from sereno.store import standing, views
from sereno.store.standing import Maintenance
from sereno.store.views import LeaderView, NodeView

_LOOKED_EVERY = 0.1
_LEAST_PREFIX = 4


class StandingVerbs(Verbs):
    """Verbs that change who leads."""

    async def lead(
        self, node: str, *, timeout: Duration = 10, requested_by: str | None = None
    ) -> LeaderView:
        """Hand the lead to `node`, a label or the beginning of an id, and return once it leads.

        Raises NotFoundError; ConflictError for a node that is drained or only works, or while all
        rest; WaitTimeoutError where another leads after `timeout`.
        """
        found = await self._node(node)
        if found.draining:
            raise ConflictError(
                f"node '{found.label}' is drained; `sereno drain NODE --undo` lets it lead again"
            )
        if (resting := await standing.maintenance(self._db)) is not None:
            raise ConflictError(f"maintenance is on, nobody leads: {resting.reason}")
        leader = await views.leader(self._db)
        if leader.held and leader.node == found.id:
            return leader
        order = await standing.order(self._db, found.id, "lead", self._by(requested_by))

        async def leads() -> bool:
            now = await views.leader(self._db)
            if now.held and now.node == found.id:
                return True
            if await standing.refused(self._db, order):
                raise ConflictError(
                    f"node '{found.label}' only works: its leads is false, so it never takes the "
                    "lead; `sereno cluster` shows the others"
                )
            return False

        await _until(
            leads,
            timeout,
            f"node '{found.label}' does not lead yet: it is of a version that takes no order, "
            "cannot reach the database, or another was faster",
        )
        return await views.leader(self._db)

    async def drain(
        self,
        node: str,
        *,
        undo: bool = False,
        timeout: Duration = 0,
        requested_by: str | None = None,
    ) -> NodeView:
        """Have `node` give the lead up and not take it again, or, with `undo`, take part again.

        Its runs go on; `timeout`: how long they are waited for. It is forgotten when the node ends.
        Raises NotFoundError; WaitTimeoutError where runs are left by then.
        """
        found = await self._node(node)
        if found.draining == undo:
            verb = "undrain" if undo else "drain"
            await standing.order(self._db, found.id, verb, self._by(requested_by))
        if undo or not parse_duration(timeout):
            return await self._node(str(found.id))

        async def empty() -> bool:
            leader = await views.leader(self._db)
            leads = leader.held and leader.node == found.id
            return not leads and not (await self._node(str(found.id))).running

        await _until(
            empty, timeout, f"node '{found.label}' leads, or works on runs; it is drained further"
        )
        return await self._node(str(found.id))

    async def maintenance(self) -> Maintenance | None:
        """Return the maintenance that is on, None while none is."""
        return await standing.maintenance(self._db)

    async def begin_maintenance(
        self,
        *,
        reason: str,
        until: datetime | None = None,
        timeout: Duration = 10,
        requested_by: str | None = None,
    ) -> Maintenance:
        """Have nobody lead, so that nothing begins, until `end_maintenance`, or `until`; return
        once nobody does. Runs that are under way go on.

        What is due meanwhile is settled afterwards, as after an outage. Raises ParamsError;
        ConflictError where one is on; WaitTimeoutError where somebody leads all the same, as a
        replica of a version that takes no order.
        """
        check_texts(requested_by=requested_by)
        reason = checked_title(reason, "reason", "maintenance")
        if not reason:
            raise ParamsError("maintenance: it has no reason; say why, everybody will ask")
        now: datetime = await self._db.fetchval("database_now")
        if until is not None and until <= now:
            raise ParamsError(f"maintenance: until {until} is over already, it is {now}")
        await standing.begin(self._db, reason, self._by(requested_by), until)

        async def nobody() -> bool:
            return not (await views.leader(self._db)).held

        await _until(nobody, timeout, "a node leads all the same: `sereno cluster` shows which")
        found = await standing.maintenance(self._db)
        if found is None:
            raise ConflictError(
                "the maintenance is over already: it was ended, or its end came first"
            )
        return found

    async def end_maintenance(self, *, requested_by: str | None = None) -> None:
        """Let replicas lead again; raises ConflictError where no maintenance is on."""
        check_texts(requested_by=requested_by)
        await standing.end(self._db, self._by(requested_by))

    async def _node(self, name: str) -> NodeView:
        """Return the one node that is there and is called so."""
        known = [node for node in await views.nodes(self._db) if node.present]
        named = [n for n in known if n.label == name or str(n.id) == name]
        if not named and len(name) >= _LEAST_PREFIX:
            named = [n for n in known if str(n.id).startswith(name.lower())]
        shown = visible(shortened(name, 100))
        if not named:
            hint = suggestion(name, [n.label for n in known], "; `sereno cluster` shows them")
            raise NotFoundError(f"no node that is there is called '{shown}'{hint}")
        if len(named) > 1:
            ids = ", ".join(str(n.id)[:8] for n in named)
            raise NotFoundError(
                f"{len(named)} nodes are called '{shown}': say which by its id, {ids}"
            )
        return named[0]


async def _until(so: Callable[[], Awaitable[bool]], timeout: Duration, sentence: str) -> None:
    """Return once it is so; raises WaitTimeoutError with `sentence`."""
    patience: timedelta = parse_duration(timeout)
    end = steady() + patience.total_seconds()
    while not await so():
        if steady() >= end:
            raise WaitTimeoutError(f"after {patience.total_seconds():g} s {sentence}")
        await asyncio.sleep(_LOOKED_EVERY)
