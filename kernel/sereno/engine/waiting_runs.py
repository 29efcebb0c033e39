"""What waits in the queue, read in the order in which it is to start.

Runs with a concurrency key, and children of fan-outs that others are before, are asked for where
there may be any: who uses neither has one statement.
"""

from collections.abc import Mapping, Sequence

from sereno.engine.turns import CHILD_EVERY, Turns
from sereno.model.job import Job
from sereno.model.ledger import Queued
from sereno.store import queue
from sereno.store.pool import Database


class WaitingRuns:
    """The queue as one term reads it. `children`: some of a fan-out may wait."""

    def __init__(self, db: Database, jobs: Mapping[str, Job]) -> None:
        self.turns = Turns()
        self.children = True
        self._db = db
        self._key_declared = any(j.policies.concurrency_key is not None for j in jobs.values())
        self._keyed = True

    async def ready(
        self, limit: int, jobs: Sequence[str], keys: Sequence[str], excluded: Sequence[int]
    ) -> list[Queued]:
        """Return what of `jobs` may start now, in its order; at least `limit` where so many may.

        `keys`: those that have no place; `excluded`: schedules of which none may start.
        """
        found = await queue.ready(self._db, limit, jobs, excluded)
        if self._key_declared or self._keyed:
            last = self.turns.last
            keyed = await queue.ready_keyed(self._db, limit, jobs, keys, excluded, last)
            found = self.turns.merged(found, keyed)
        if not self.children or len(found) < limit:
            return found
        most, lowest = limit // CHILD_EVERY + 1, found[-1].priority - 1
        children = await queue.ready_children(self._db, most, jobs, keys, lowest)
        return self.turns.with_children(found, children)

    async def coming(self) -> queue.Coming:
        """Return what else waits."""
        found = await queue.coming(self._db)
        self._keyed, self.children = found.keyed, found.children
        return found
