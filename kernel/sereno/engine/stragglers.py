"""Attempts that were left behind, and keep their place until their function is over.

A thread cannot be ended from outside, nor can a coroutine that swallows its cancellation. As long
as it works, its schedule, job, concurrency key and executor count it: else one that hangs at each
slot would take one thread after another. The database holds it too, so that the next leader
counts it and a person finds it. Whoever's node is not there keeps it for a lease more, as a run
does: a session may be cut, and the thread works on.

States: left (its outcome waits until the database knows that it keeps its place, or two seconds);
kept; over (its place is free, and the database is yet to forget it).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from uuid import UUID

from sereno.engine.attempt import Attempt
from sereno.engine.backoff import Backoff
from sereno.engine.clock import steady
from sereno.engine.occupancy import Occupancy, Occupant
from sereno.engine.status import Status
from sereno.model.errors import StoreError
from sereno.store import stragglers
from sereno.store.pool import Database

log = logging.getLogger("sereno.runner")

_WRITTEN_WITHIN = 2.0
"""Seconds that an outcome waits for the word that its attempt keeps its place."""


class Stragglers:
    """This node's. `free`: called when a place has become free."""

    def __init__(
        self,
        db: Database,
        status: Status,
        occupancy: Occupancy,
        free: Callable[[], None],
    ) -> None:
        self._db = db
        self._node = status.node
        self._status = status
        self._occupancy = occupancy
        self._free = free
        self._mine: dict[UUID, Attempt] = {}
        self._gone: list[UUID] = []
        self._absent: dict[UUID, float] = {}  # nodes: since when, by the steady clock
        self._changed = asyncio.Event()

    @property
    def mine(self) -> Mapping[UUID, Attempt]:
        """Those of this node, by token."""
        return self._mine

    def left(self, attempt: Attempt, then: Callable[[Attempt], None]) -> None:
        """Take note that `attempt` was left behind; `then` is called once that is kept."""
        claim = attempt.claim
        self._mine[claim.token] = attempt
        facts = {"job": claim.job, "run": claim.run_id, "executor": attempt.policies.executor}
        log.error("a run works on after it was told to stop, and keeps its place", extra=facts)
        self._show_trouble(attempt)
        held = self._occupancy.occupant(claim.run_id, claim.token)
        if held is not None:
            self._occupancy.hold(claim.token, held)
        keeping = asyncio.ensure_future(self._keep(attempt))
        keeping.add_done_callback(lambda _: then(attempt))

    def over(self, attempt: Attempt) -> None:
        """Take note that its function is over at last."""
        claim = attempt.claim
        if self._mine.pop(claim.token, None) is None:
            return
        if not self._status.leaving:  # else it is the waiting for it that is over
            facts = {"job": claim.job, "run": claim.run_id}
            log.warning("a run that was left behind is over", extra=facts)
        self._status.shown.pop(f"straggler {claim.token}", None)
        self._status.overstaying.pop(claim.token, None)
        self._gone.append(claim.token)
        self._changed.set()
        self._occupancy.let_go(claim.token)
        self._free()

    async def load(self, lease: float) -> None:
        """Read whose places are kept, at the start of a term; `lease`: as in `poll`."""
        self._absent.clear()
        await stragglers.clear(self._db)
        await self.poll(lease)

    async def poll(self, lease: float) -> None:
        """Read which places other nodes' stragglers keep. `lease`: seconds that one which is not
        there has to come back."""
        now = steady()
        every = await stragglers.keeping(self._db)
        absent = {one.node for one, present in every if not present}
        self._absent = {node: self._absent.get(node, now) for node in absent}
        found = [one for one, _ in every if now - self._absent.get(one.node, now) <= lease]
        known = {s.token for s in found} | self._mine.keys()
        for token in self._occupancy.held() - known:
            self._occupancy.let_go(token)
            self._free()
        for token, attempt in self._mine.items():
            if token not in {s.token for s in found}:  # the database was away as it was left
                claim = attempt.claim
                held = Occupant(
                    run_id=claim.run_id, job=claim.job, executor=attempt.policies.executor
                )
                self._occupancy.hold(token, held)
        for one in found:
            mine = one.node == self._node
            if mine and one.token not in self._mine:
                continue  # it is over, and the word of it on its way
            self._occupancy.hold(
                one.token,
                Occupant(
                    run_id=one.run_id,
                    token=one.token,
                    job=one.job,
                    schedule_id=one.schedule_id,
                    key=one.concurrency_key,
                    executor=one.executor,
                    foreign=not mine,
                    node=None if mine else one.node,
                ),
            )

    async def work(self) -> None:
        """Have those that are over forgotten, for ever; the database may come and go."""
        backoff = Backoff()
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                while self._gone:
                    await stragglers.forget(self._db, self._gone[-1], "overstays")
                    self._gone.pop()
                backoff.reset()
            except StoreError:
                self._changed.set()
                await asyncio.sleep(backoff.wait())

    async def _keep(self, attempt: Attempt) -> None:
        claim, executor = attempt.claim, attempt.policies.executor
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_WRITTEN_WITHIN):
                await stragglers.note(
                    self._db, claim.run_id, claim.token, "overstays", executor, self._node
                )

    def _show_trouble(self, attempt: Attempt) -> None:
        claim = attempt.claim
        remedy = {
            "async": "it swallows its cancellation",
            "thread": 'no thread can be ended; executor="process" can, or run.check() in its loop',
        }.get(attempt.policies.executor, "its executor does not end it")
        self._status.overstaying[claim.token] = steady()
        self._status.trouble(
            f"straggler {claim.token}",
            f"run {claim.run_id} of job '{claim.job}' works on after it was told to stop, and keeps"
            f" its place on this node: {remedy}",
            float("inf"),
        )
