"""Decides what only the node that works on a run can tell, and how it is asked: by a row."""

import asyncio

from sereno.client.verbs import Duration, Verbs, checked_id
from sereno.engine.clock import steady
from sereno.model.duration import parse_duration
from sereno.model.errors import ConflictError, WaitTimeoutError
from sereno.store import node_requests, views

_LOOKED_EVERY = 0.1


class NodeVerbs(Verbs):
    """Verbs that a node answers."""

    async def stack(
        self, run_id: int, *, timeout: Duration = 10, requested_by: str | None = None
    ) -> str:
        """Return where a run's function is at this moment, as its node tells: the newest call last.

        Raises NotFoundError; ConflictError for a run that no node works on; WaitTimeoutError when
        its node does not answer, as one whose loop the run holds up.
        """
        patience = parse_duration(timeout).total_seconds()
        until = steady() + patience
        by = self._by(requested_by)
        request = await node_requests.ask(self._db, checked_id(run_id), "stack", by)
        while request is not None:
            found = await node_requests.read(self._db, request)
            if found is None:
                break
            if found.answered:
                return found.text or ""
            if steady() >= until:
                raise WaitTimeoutError(
                    f"the node of run {run_id} has not answered in {patience:g} s: it is of a "
                    "version that answers none, or something holds its event loop up"
                )
            await asyncio.sleep(_LOOKED_EVERY)
        state = (await views.run(self._db, run_id, lines=0)).state
        raise ConflictError(f"run {run_id} is {state}: no node works on it, it has no stack")
