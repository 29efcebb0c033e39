"""Finds runs whose owner is gone, and has them tried again or lost.

States of a node that owns runs: present (it holds its presence lock); absent, since the poll that
first missed the lock; gone, after a second (crashed) or the lease (perhaps only cut off); then its
runs are taken. One that comes back in time is present again, and keeps its runs.

Invariants: a run is taken under our term, by its attempt and token, so that its owner, if it lives
after all, can write nothing of it any more; absence is measured on our steady clock, from what we
have seen ourselves, never from what an instant in the database says.
"""

import logging
from collections.abc import Iterable, Mapping
from uuid import UUID

from sereno.engine.clock import steady
from sereno.engine.loss import tried_again
from sereno.engine.term import Term
from sereno.model.events import RunFinished
from sereno.model.job import Job
from sereno.store import runs, stragglers
from sereno.store.pool import Record

log = logging.getLogger("sereno.reaper")

DEAD_AFTER = 1.0
"""Seconds after which a node is gone that has neither its presence lock nor any other session,
while ours has lasted: a crash. A node that only lost its lock (a terminated backend, a restarted
server) has the whole lease to come back and keep its runs."""


class Reaper:
    """Those of one term, other nodes' runs alone. `lease`: seconds; `session_since`: the steady
    time from which our own session has lasted."""

    def __init__(
        self, term: Term, jobs: Mapping[str, Job], lease: float, session_since: float
    ) -> None:
        self._term = term
        self._jobs = jobs
        self._lease = lease
        self._session_since = session_since
        self._absent: dict[UUID, float] = {}

    async def poll(self) -> list[tuple[int, str, int | None]]:
        """Take the runs of nodes that have been gone for long enough.

        Returns id, state, schedule of what was taken; LeaseLostError and StoreError come through.
        """
        now = steady()
        owners = {owner.node: owner for owner in await runs.absent_owners(self._term.db)}
        # Our own lock is never looked for: who leads is there, whatever that statement found.
        mine = self._term.node.id
        self._absent = {node: self._absent.get(node, now) for node in owners if node != mine}
        taken: list[tuple[int, str, int | None]] = []
        # Absence is counted anew by each leader: what its predecessor saw may be long over.
        for node, since in self._absent.items():
            # Were we connected before it went, then so was the server: it is the node that died.
            crashed = owners[node].sessions == 0 and now - self._session_since > self._lease
            if now - since >= (min(DEAD_AFTER, self._lease) if crashed else self._lease):
                taken += await self._take(node, self._why(owners[node], crashed))
        return taken

    def _why(self, owner: runs.AbsentOwner, crashed: bool) -> str:
        how = "died: it has no session any more"
        if not crashed:
            how = f"died or was cut off: it was not there for {self._lease:g} s"
        return f"its node '{owner.label}' ({owner.node}) {how}"

    async def _take(self, node: UUID, why: str) -> list[tuple[int, str, int | None]]:
        owned = await runs.owned(self._term.db, node)
        if not owned:
            return []
        # A job that held its node's loop is why the node was cut off: its error says so rather than
        # that the node died, and the errors of the node's other runs name it.
        blocking = await stragglers.blocking(self._term.db, node)
        taken = []
        for error, of_it in _grouped(node, why, owned, blocking).items():
            verdicts = [
                (
                    *(r["id"], r["attempt"], r["token"]),
                    not _of_node(r)
                    and tried_again(self._jobs, r["job"], r["losses"], r["policies"]),
                )
                for r in of_it
            ]
            gone = await runs.lose(self._term.db, self._term.number, node, verdicts, error)
            for row in gone:
                self._report(row, node, error)
            taken += [(r["id"], r["state"], r["schedule_id"]) for r in gone]
        return taken

    def _report(self, row: Record, node: UUID, error: str) -> None:
        log.warning(
            "a run lost its node",
            extra={
                "run": row["id"],
                "job": row["job"],
                "state": row["state"],
                "owner": str(node),
                "error": error,
            },
        )
        if row["state"] == "lost":  # what is tried again is published by the node that does
            self._term.publish(_lost(row, error))


def _of_node(row: Record) -> bool:
    """Return whether a run is the part of its node, and so of no other: what it works on is gone
    with it."""
    return (row["place"] or "").startswith("node:")


def _grouped(
    node: UUID,
    why: str,
    owned: Iterable[Record],
    blocking: Mapping[UUID, tuple[int, str, float]],
) -> dict[str, list[Record]]:
    """Return the runs that `node` owned, by what is said of their loss: `why` it is gone, or more.

    `blocking`: what has held its event loop to the last, by token: run, job, seconds.
    """
    found: dict[str, list[Record]] = {}
    others = [
        f"run {run} of job '{job}' held its event loop for {seconds:.0f} s"
        for run, job, seconds in blocking.values()
    ]
    for row in owned:
        held = blocking.get(row["token"])
        if held is not None:
            error = (
                f"it held the event loop of its node {node} for {held[2]:.0f} s, so that the node"
                " was cut off: what does not await belongs into a thread or a process (executor=)"
            )
        else:
            error = "; ".join([why, *others[:1]])
        found.setdefault(error, []).append(row)
    return found


def _lost(row: Record, error: str) -> RunFinished:
    return RunFinished(
        run_id=row["id"],
        job=row["job"],
        attempt=row["attempt"],
        slot=row["slot"],
        state="lost",
        duration=row["lasted"],
        error=error,
    )
