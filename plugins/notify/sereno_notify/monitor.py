"""Tells what no event tells, from what the kernel shows to the node on duty: a job that is overdue
or no longer is, failures that no node lived to tell and their end, and that nobody leads.

Whoever looks looks at what is, and not at what has changed: so what one node was about to tell as
it died, the next one tells. The table keeps the others from telling it again.
"""

import time
from collections.abc import Mapping
from datetime import timedelta

from sereno import CarrierContext, JobSight, NotificationKind, RunState, Sight
from sereno_notify import messages, notifications
from sereno_notify.notifications import Open
from sereno_notify.outbox import prune_messages
from sereno_notify.register import Register

_FAILED: tuple[RunState, ...] = ("failed", "timed_out", "lost")
_FAILED_SINCE, _FAILED_UNTIL = timedelta(hours=1), timedelta(seconds=15)
_PRUNE_EVERY = 3600.0
_KINDS: tuple[NotificationKind, ...] = ("job_overdue", "run_failed", "leader_missing")


class Monitor:
    """One node's. `repeat_every`: what goes on is told again; `keep`: how long the record stays."""

    def __init__(
        self,
        context: CarrierContext,
        register: Register,
        repeat_every: timedelta,
        keep: timedelta,
    ) -> None:
        self._context = context
        self._register = register
        self._repeat_every = repeat_every
        self._keep = keep
        self._next_prune = 0.0

    async def observe(self, sight: Sight) -> None:
        """Tell what is to be told of `sight`. Raises StoreError."""
        opened = await notifications.opened(self._context, _KINDS)
        await self._report_leader(sight, opened)
        await self._report_overdue(sight, opened)
        await self._report_failures(sight, opened)
        if time.monotonic() >= self._next_prune:
            more = await notifications.prune(self._context, self._keep)
            more |= await prune_messages(self._context, self._keep)
            # A batch at each look.
            self._next_prune = time.monotonic() + (0.0 if more else _PRUNE_EVERY)

    async def _report_leader(self, sight: Sight, opened: Mapping[str, Open]) -> None:
        if sight.leading:
            if messages.MISSING in opened:
                await self._register.over(messages.led_again(self._context.label, sight.now))
        elif sight.unled is not None and self._wanted(opened.get(messages.MISSING), sight):
            draft = messages.leaderless(sight.unled.total_seconds(), sight.why, sight.now)
            await self._register.report(draft)

    async def _report_overdue(self, sight: Sight, opened: Mapping[str, Open]) -> None:
        for name, job in sight.jobs.items():
            known = opened.get(messages.overdue_key(name))
            if job.lasting and self._wanted(known, sight):
                await self._register.report(
                    messages.overdue(name, job.severity, job.overdue, sight.now)
                )
        for told in opened.values():
            if told.kind != "job_overdue" or told.job is None:
                continue
            found = sight.jobs.get(told.job)
            if found is None or not found.overdue:
                await self._register.over(messages.on_time(told.job, found is None, sight.now))

    def _wanted(self, known: Open | None, sight: Sight) -> bool:
        """Tell whether to tell what was told as `known`, or was not."""
        return known is None or sight.now - known.told_at >= self._repeat_every

    async def _report_failures(self, sight: Sight, opened: Mapping[str, Open]) -> None:
        """Tell of the failures that no node lived to tell, and of jobs that succeed again."""
        for name, job in sight.jobs.items():
            known = opened.get(messages.failed_key(name))
            if known is None and _failed_lately(job, sight):
                run = None if job.last_state == "lost" else job.last_run  # not the one that was
                draft = messages.ran_badly(
                    name,
                    run,
                    job.last_state or "lost",
                    job.severity,
                    sight.now,
                    self._context.shown,
                )
                await self._register.report(draft)
            elif known is not None and _well_since(job, known):
                await self._register.over(messages.succeeded(name, job.last_run, sight.now))


def _failed_lately(job: JobSight, sight: Sight) -> bool:
    if job.last_state not in _FAILED or job.last_end_at is None:
        return False
    return _FAILED_UNTIL <= sight.now - job.last_end_at <= _FAILED_SINCE


def _well_since(job: JobSight, known: Open) -> bool:
    if job.last_state != "succeeded" or job.last_success_at is None:
        return False
    return job.last_success_at > known.told_at
