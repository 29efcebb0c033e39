"""Looks from time to time whether a job is overdue, or no longer is, or nobody leads.

The leader looks; when there is none, every follower does. What one finds out, the table keeps the
others from telling again.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import cast

from sereno.engine.clock import steady
from sereno.engine.status import Status
from sereno.model.errors import StoreUnavailableError
from sereno.model.events import JobOverdue
from sereno.model.notification import NotificationKind
from sereno.model.policies import Severity
from sereno.model.run import RunState
from sereno.notify import wording
from sereno.notify.teller import Teller
from sereno.observe.health import unled
from sereno.observe.job_watch import JobWatch
from sereno.observe.overdue import overdue_at, overdue_because, overdue_seconds
from sereno.store import notifications
from sereno.store.messages import prune_messages
from sereno.store.notifications import Open
from sereno.store.pool import Database
from sereno.store.snapshot import JobFacts, Snapshot

log = logging.getLogger("sereno.notify")

EVERY = 10.0
"""Seconds between looks."""

PATIENCE = 30.0
"""Seconds for which a job must have been seen overdue, or no leader, before it is told: a deploy
and a leader that catches up are no reason to tell anybody."""

_FAILED: tuple[RunState, ...] = ("failed", "timed_out", "lost")
_FAILED_SINCE, _FAILED_UNTIL = 3600.0, 15.0
_PRUNE_EVERY = 3600.0
_KINDS: tuple[NotificationKind, ...] = ("job_overdue", "run_failed", "leader_missing")


class Lookout:
    """One node's. `publish`: hears JobOverdue, on one node alone."""

    # Over seven: four are lengths of time, which are named at the one place that makes it.
    def __init__(
        self,
        db: Database,
        watch: JobWatch,
        status: Status,
        teller: Teller,
        *,
        publish: Callable[[object], None],
        repeat_every: timedelta,
        keep: timedelta,
        every: float = EVERY,
        patience: float = PATIENCE,
    ) -> None:
        self._db = db
        self._watch = watch
        self._status = status
        self._teller = teller
        self._publish = publish
        self._repeat_every = repeat_every
        self._keep = keep
        self._every = every
        self._patience = patience
        self._late: dict[str, float] = {}
        self._unled: float | None = None
        self._next_prune = 0.0
        self.on_duty = False

    async def work(self) -> None:
        """Look for ever."""
        while True:
            try:
                self.on_duty = await self._has_duty()
                if self.on_duty:
                    await self.look()
                else:
                    self._late.clear()
            except StoreUnavailableError as error:
                log.debug("nobody can look for overdue jobs", extra={"error": str(error)})
            except Exception:
                log.exception("overdue jobs cannot be looked for")
            await asyncio.sleep(self._every * (0.75 + random.random() / 2))  # noqa: S311

    async def look(self) -> None:
        """Look once. Raises StoreError."""
        glance = await self._watch.poll()
        if glance.snapshot is None or glance.error is not None:
            return
        opened = await notifications.opened(self._db, _KINDS)
        await self._tell_leader(glance.snapshot, opened)
        await self._tell_overdue(glance.snapshot, opened)
        await self._tell_failures(glance.snapshot, opened)
        if steady() >= self._next_prune:
            more = await notifications.prune(self._db, self._keep)
            more |= await prune_messages(self._db, self._keep)
            self._next_prune = steady() + (0.0 if more else _PRUNE_EVERY)  # a batch at each look

    async def _has_duty(self) -> bool:
        if self._status.leading:
            self._unled = None
            return True
        if await notifications.led(self._db):
            self._unled = None
            return False
        self._unled = self._unled or steady()
        return steady() - self._unled >= self._patience

    async def _tell_leader(self, snapshot: Snapshot, opened: Mapping[str, Open]) -> None:
        now = self._teller.now()
        if self._status.leading:
            if wording.MISSING in opened:
                await self._teller.over(wording.led_again(self._status.label, now))
        elif self._unled is not None and self._wanted(opened.get(wording.MISSING)):
            why = None if snapshot.holder is None else unled(snapshot, self._status.lease)
            await self._teller.tell(wording.leaderless(steady() - self._unled, why, now))

    async def _tell_overdue(self, snapshot: Snapshot, opened: Mapping[str, Open]) -> None:
        now = snapshot.now.timestamp()
        late: dict[str, float] = {}
        for name, job in snapshot.jobs.items():
            seconds = overdue_seconds(overdue_at(job, snapshot.jobs, now), now)
            if seconds > 0:
                late[name] = seconds
        self._late = {name: self._late.get(name, steady()) for name in late}
        for name, since in self._late.items():
            known = opened.get(wording.overdue_key(name))
            if steady() - since >= self._patience and self._wanted(known):
                because = overdue_because(snapshot.jobs[name], snapshot.jobs, now)
                await self._overdue(
                    snapshot.jobs[name], late[name], because, again=known is not None
                )
        for known in opened.values():
            if known.kind == "job_overdue" and known.job is not None and known.job not in late:
                await self._on_time(known.job, snapshot)

    def _wanted(self, known: Open | None) -> bool:
        """Tell whether to tell what was told as `known`, or was not."""
        if known is None:
            return True
        return known.told_at is not None and (
            self._teller.now() - known.told_at >= self._repeat_every
        )

    async def _overdue(
        self, job: JobFacts, seconds: float, because: str | None, *, again: bool
    ) -> None:
        severity, late = cast(Severity, job.severity), timedelta(seconds=seconds)
        draft = wording.overdue(job.name, severity, late, self._teller.now())
        told = await self._teller.tell(draft, hooks=not again)
        if notifications.HOOKS in told:
            log.warning(
                "job overdue",
                extra={"job": job.name, "seconds": round(seconds), "because": because},
            )
            self._publish(JobOverdue(job=job.name, severity=severity, overdue=late, resolved=False))

    async def _on_time(self, name: str, snapshot: Snapshot) -> None:
        job = snapshot.jobs.get(name)
        told = await self._teller.over(wording.on_time(name, job is None, self._teller.now()))
        if notifications.HOOKS in told:
            log.info("job no longer overdue", extra={"job": name})
            severity = cast(Severity, "warning" if job is None else job.severity)
            self._publish(
                JobOverdue(job=name, severity=severity, overdue=timedelta(0), resolved=True)
            )

    async def _tell_failures(self, snapshot: Snapshot, opened: Mapping[str, Open]) -> None:
        """Tell of the failures that no node lived to tell, and of jobs that succeed again."""
        now = snapshot.now.timestamp()
        for name, job in snapshot.jobs.items():
            known = opened.get(wording.failed_key(name))
            if known is None and _failed_lately(job, now):
                severity, state = cast(Severity, job.severity), cast(RunState, job.last_state)
                run = None if state == "lost" else job.last_run  # not the one that was lost
                await self._teller.tell(
                    wording.ran_badly(name, run, state, severity, self._teller.now())
                )
            elif known is not None and known.told_at is not None and _well_since(job, known):
                await self._teller.over(wording.succeeded(name, job.last_run, self._teller.now()))


def _failed_lately(job: JobFacts, now: float) -> bool:
    if job.last_state not in _FAILED or job.last_end_at is None:
        return False
    return _FAILED_UNTIL <= now - job.last_end_at <= _FAILED_SINCE


def _well_since(job: JobFacts, known: Open) -> bool:
    if job.last_state != "succeeded" or job.last_success_at is None or known.told_at is None:
        return False
    return job.last_success_at > known.told_at.timestamp()
