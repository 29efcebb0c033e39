"""Looks from time to time whether a job is overdue, or no longer is, and shows what it sees to who
carries messages.

The leader looks; when there is none, every follower does. That a job is overdue is told to plugins'
hooks by one node, once: a row of `sereno.overdue` is the mark. What is shown is shown to each node
on duty, so that nothing depends on the one that made the mark.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import cast

from sereno.engine.clock import steady
from sereno.engine.status import Status
from sereno.model.carrier import JobSight, Sight
from sereno.model.errors import StoreUnavailableError
from sereno.model.events import JobOverdue
from sereno.model.policies import Severity
from sereno.model.run import RunState
from sereno.observe.health import unled
from sereno.observe.job_watch import JobWatch
from sereno.observe.overdue import overdue_at, overdue_because, overdue_seconds
from sereno.store import overdue
from sereno.store.pool import Database
from sereno.store.snapshot import JobFacts, Snapshot

log = logging.getLogger("sereno.overdue")

EVERY = 10.0
"""Seconds between looks."""

PATIENCE = 30.0
"""Seconds for which a job must have been seen overdue, or no leader, before it is told: a deploy
and a leader that catches up are no reason to tell anybody."""


class OverdueWatch:
    """One node's. `publish`: hears JobOverdue, on one node alone. `show`: is given what is seen.

    `every`, `patience`: seconds.
    """

    def __init__(
        self,
        db: Database,
        watch: JobWatch,
        status: Status,
        publish: Callable[[object], None],
        show: Callable[[Sight], Awaitable[None]],
        *,
        every: float = EVERY,
        patience: float = PATIENCE,
    ) -> None:
        self._db = db
        self._watch = watch
        self._status = status
        self._publish = publish
        self._show = show
        self._every = every
        self._patience = patience
        self._late: dict[str, float] = {}
        self._unled: float | None = None
        self.on_duty = False
        """Whether this node looks after what all of them find out."""

    async def work(self) -> None:
        """Look for ever."""
        while True:
            try:
                self.on_duty = await self._has_duty()
                if self.on_duty:
                    await self.poll()
                else:
                    self._late.clear()
            except StoreUnavailableError as error:
                log.debug("nobody can look for overdue jobs", extra={"error": str(error)})
            except Exception:
                log.exception("overdue jobs cannot be looked for")
            await asyncio.sleep(self._every * (0.75 + random.random() / 2))  # noqa: S311

    async def poll(self) -> None:
        """Look once. Raises StoreError."""
        glance = await self._watch.poll()
        if glance.snapshot is None or glance.error is not None:
            return
        sight = self._seen(glance.snapshot)
        marked = await overdue.marked(self._db)
        for name, job in sight.jobs.items():
            if job.lasting and name not in marked:
                await self._overdue(name, job, glance.snapshot)
        for name in marked:
            known = sight.jobs.get(name)
            if known is None or not known.overdue:
                await self._on_time(name, known)
        await self._show(sight)

    async def _has_duty(self) -> bool:
        if self._status.leading:
            self._unled = None
            return True
        if await overdue.led(self._db):
            self._unled = None
            return False
        self._unled = self._unled or steady()
        return steady() - self._unled >= self._patience

    def _seen(self, snapshot: Snapshot) -> Sight:
        now, steady_now = snapshot.now.timestamp(), steady()
        late = {
            name: seconds
            for name, job in snapshot.jobs.items()
            if (seconds := overdue_seconds(overdue_at(job, snapshot.jobs, now), now)) > 0
        }
        self._late = {name: self._late.get(name, steady_now) for name in late}
        lasting = {n for n, since in self._late.items() if steady_now - since >= self._patience}
        without = None if self._status.leading or self._unled is None else self._unled
        why = None if snapshot.holder is None else unled(snapshot, self._status.lease)
        return Sight(
            now=snapshot.now,
            leading=self._status.leading,
            unled=None if without is None else timedelta(seconds=steady_now - without),
            why=None if without is None else why,
            jobs={
                name: _sight_of(job, late.get(name, 0.0), name in lasting)
                for name, job in snapshot.jobs.items()
            },
        )

    async def _overdue(self, name: str, job: JobSight, snapshot: Snapshot) -> None:
        if not await overdue.mark(self._db, name, job.severity):
            return
        now = snapshot.now.timestamp()
        because = overdue_because(snapshot.jobs[name], snapshot.jobs, now)
        facts = {"job": name, "seconds": round(job.overdue.total_seconds()), "because": because}
        log.warning("job overdue", extra=facts)
        self._publish(
            JobOverdue(job=name, severity=job.severity, overdue=job.overdue, resolved=False)
        )

    async def _on_time(self, name: str, job: JobSight | None) -> None:
        if not await overdue.unmark(self._db, name):
            return
        log.info("job no longer overdue", extra={"job": name})
        severity: Severity = "warning" if job is None else job.severity
        self._publish(JobOverdue(job=name, severity=severity, overdue=timedelta(0), resolved=True))


def _sight_of(job: JobFacts, seconds: float, lasting: bool) -> JobSight:
    return JobSight(
        severity=cast(Severity, job.severity),
        overdue=timedelta(seconds=seconds),
        lasting=lasting,
        last_run=job.last_run,
        last_state=cast("RunState | None", job.last_state),
        last_end_at=_instant(job.last_end_at),
        last_success_at=_instant(job.last_success_at),
    )


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
