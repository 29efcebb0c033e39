"""Outcomes on their way to the database: in groups, and kept in memory while it is away.

States of an outcome: waiting (in memory, oldest first); held (its run's row is locked by a
transaction of the job's own: it waits again); written; refused (the run is another's by now, or the
database cannot keep it: less of it is written then).

Where runs stand in line at this node, nobody waits for the place of one that ends: outcomes of what
takes milliseconds wait for one another then, for `TOGETHER` at the most.

Invariants: a job that ran is never forgotten while this process lives; no outcome waits for another
one's lock or fault; to write one twice does no harm, as the token says that it was written.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

import msgspec

from sereno.engine.backoff import Backoff
from sereno.engine.lead import Lead
from sereno.model.errors import StoreError, StoreLockedError, StoreUnavailableError
from sereno.model.job import Job
from sereno.model.run import Outcome
from sereno.store import runs
from sereno.store.hand_overs import EndedElsewhere, notify_ended
from sereno.store.pool import Database

log = logging.getLogger("sereno.outbox")  # a name that logs are filtered by: it stays

TOGETHER = 0.025
"""Seconds for which outcomes wait for others, to be written by one statement. Those of a node that
dies meanwhile are lost, as they are while they are being written."""

Chains = Mapping[str, Sequence[tuple[str, tuple[str, ...]]]]
_GROUP = 1000
"""Outcomes in one statement: those of a burst cost one commit, and not one each."""

_HELD_AGAIN = 0.2
"""Seconds between tries to write an outcome whose run's row a job's own transaction holds."""


def chains_of(jobs: Mapping[str, Job]) -> Chains:
    """Return, by upstream job, its downstream jobs, each with all of its upstreams."""
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for job in jobs.values():
        for upstream in job.after:
            found.setdefault(upstream, []).append((job.name, job.after))
    return found


class Completer:
    """Writes what is put into it, oldest first; `written` is called with each and whether the run
    was still this node's.

    A job that ran is never forgotten: while the database is away its outcome waits here.
    """

    def __init__(
        self,
        db: Database,
        node: UUID,
        jobs: Mapping[str, Job],
        written: Callable[[Outcome, bool], None],
        lead: Lead,
        left_behind: Callable[[UUID], bool] = lambda token: False,
    ) -> None:
        """`left_behind`: whether an attempt that is over keeps its place."""
        self._db = db
        self._node = node
        self._chains = chains_of(jobs)
        self._awaited = frozenset(n for n, j in jobs.items() if _awaited(j)) | self._chains.keys()
        self._secret = frozenset(n for n, j in jobs.items() if j.secrets)
        self._written = written
        self._lead = lead
        self._left_behind = left_behind
        self._waiting: list[Outcome] = []
        self._timer: asyncio.TimerHandle | None = None  # until which nothing presses
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def put(self, outcome: Outcome) -> None:
        """Have `outcome` written as soon as may be."""
        self._waiting.append(outcome)
        self._emptied.clear()
        if self._pressing(outcome):
            self._press()
        elif not self._filled.is_set():
            self._arm()

    def _press(self) -> None:
        """Have all that waits written now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._filled.set()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOGETHER, self._press)

    def _pressing(self, outcome: Outcome) -> bool:
        """Return whether something may wait for `outcome` to be written: the leader for its place,
        or another run."""
        return (
            not self._lead.supplied
            or outcome.state != "succeeded"
            or outcome.slot is not None
            or outcome.job in self._awaited
        )

    def holds(self, token: UUID) -> bool:
        """Return whether the outcome of this attempt still waits."""
        return any(o.token == token for o in self._waiting)

    @property
    def busy(self) -> bool:
        """Whether an outcome is not written yet."""
        return not self._emptied.is_set()

    async def drained(self) -> None:
        """Return once everything is written."""
        if self._waiting:
            self._press()
        await self._emptied.wait()

    async def work(self) -> None:
        """Write for ever."""
        backoff = Backoff()
        size = _GROUP
        while True:
            await self._filled.wait()
            group = self._waiting[:size]
            try:
                held = await self._write(group)
            except StoreLockedError:
                # One at a time, and who is in the way of the first goes to the end: another keeps
                # its run locked, and the others are not to wait for that.
                if size == 1:
                    self._waiting.append(self._waiting.pop(0))
                    await asyncio.sleep(_HELD_AGAIN)
                size = 1
                continue
            except StoreUnavailableError as error:
                log.warning(
                    "outcomes wait: the database is away",
                    extra={"waiting": len(self._waiting), "error": str(error)},
                )
                await asyncio.sleep(backoff.wait())
                continue
            except StoreError:  # one that cannot be written may not hold up the others
                size = 1  # alone, `_write` finds it out and writes less of it
                continue
            backoff.reset()
            size = min(size * 2, _GROUP)  # back to whole groups once those in the way are over
            self._waiting[: len(group)] = []
            self._waiting += held
            if not self._waiting:
                self._filled.clear()
                self._emptied.set()
            elif not held and not any(map(self._pressing, self._waiting)):
                self._filled.clear()
                self._arm()
            elif len(held) == len(group):
                await asyncio.sleep(_HELD_AGAIN)

    async def _write(self, group: list[Outcome]) -> list[Outcome]:
        """Write `group` whole, and return those that have to wait; raises StoreError."""
        try:
            written = await runs.write_outcomes(
                self._db, self._node, group, self._chains, self._secret
            )
        except StoreUnavailableError:
            raise
        except StoreError as error:
            if len(group) > 1:
                raise
            log.exception("an outcome cannot be written as it is", extra={"run": group[0].run_id})
            written, less = await self._write_bare(group[0], error)
            self._written(less, less.token in written.ours)
            return []
        for outcome in group:
            if outcome.token not in written.held:
                self._written(outcome, outcome.token in written.ours)
        # The leader counts places, and learns of those that are free on other nodes by this alone.
        if not self._lead.leading:
            await self._notify_leader([o for o in group if o.token in written.ours])
        return [o for o in group if o.token in written.held]

    async def _notify_leader(self, ended: Sequence[Outcome]) -> None:
        said = [
            EndedElsewhere(o.run_id, o.attempt, o.state == "queued")
            for o in ended
            if not self._left_behind(o.token)
        ]
        with suppress(StoreError):  # it looks by itself, a little later
            if said:
                await notify_ended(self._db, said)
            if len(said) < len(ended):  # it is to see first who keeps a place
                await runs.notify_over(self._db)

    async def _write_bare(
        self, outcome: Outcome, error: StoreError
    ) -> tuple[runs.Written, Outcome]:
        """Write what may be written of an outcome that the database refuses: the plain state, or at
        last a failure. A run that is over may not count as under way for ever."""
        failed = msgspec.structs.replace(
            _bare(outcome, error), state="failed", retry_at=None, became=None, begun=True
        )
        for less in (_bare(outcome, error), failed):
            try:
                found = await runs.write_outcomes(
                    self._db, self._node, [less], self._chains, self._secret
                )
                return found, less
            except StoreUnavailableError:
                raise
            except StoreError:
                log.exception("an outcome is refused", extra={"run": outcome.run_id})
        return runs.Written(ours=frozenset()), outcome


def _awaited(job: Job) -> bool:
    """Return whether the end of one of its runs may let another one begin, on any node."""
    policies = job.policies
    return policies.max_running is not None or policies.concurrency_key is not None


def _bare(outcome: Outcome, error: StoreError) -> Outcome:
    return Outcome(
        run_id=outcome.run_id,
        job=outcome.job,
        attempt=outcome.attempt,
        token=outcome.token,
        state=outcome.state,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
        retry_at=outcome.retry_at,
        became=outcome.became,
        begun=outcome.begun,
        error=f"its outcome could not be kept in full: {error}",
    )
