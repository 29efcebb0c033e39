"""Runs what this node owns: starts attempts, passes their words on, hands their outcomes over.

States of an attempt: starting (claimed, its instant is to come); begun; told to stop; left behind
(it did not stop, and keeps its place); over (its outcome is with the `Completer`). One that has not
begun is given back instead, and does not count.

Invariants: each claim ends in exactly one outcome, whatever the job does and as long as this
process lives; an attempt is known by
its token, as a run's number may come again; none begins while this node may not act as leader, for
its run may be another's by then.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from sereno.engine.attempt import Attempt, Why
from sereno.engine.completer import Completer
from sereno.engine.context import RunContext
from sereno.engine.handed_on import check_handed_on
from sereno.engine.lead import Lead
from sereno.engine.loss import may_run_twice, tried_again
from sereno.engine.node_context import NodeContext
from sereno.engine.progress import ProgressWriter, RunProgress
from sereno.engine.recent_attempts import RecentAttempts
from sereno.engine.runlog import RunScope
from sereno.engine.stack import stack_of
from sereno.engine.stalls import Stalls
from sereno.engine.stragglers import Stragglers
from sereno.engine.unattempted_outcomes import cancelled, refused, released, unknown
from sereno.model import fault
from sereno.model.errors import SerenoError
from sereno.model.events import RunFinished, RunStarted
from sereno.model.executor import Executor
from sereno.model.job import Job
from sereno.model.ledger import Claim
from sereno.model.run import SNOOZED, Outcome
from sereno.model.trace import traceparents
from sereno.plugins.registry import Given
from sereno.store import node_requests, runs
from sereno.store.pool import Record
from sereno.tracing import Tracer

log = logging.getLogger("sereno.runner")


class Runner:
    """Makes the attempts of the runs that this node has claimed, leading or draining."""

    def __init__(
        self,
        context: NodeContext,
        jobs: Mapping[str, Job],
        given_to: Callable[[str], Given],
        executors: Mapping[str, Executor],
        stragglers: Stragglers,
        lead: Lead,
        tracer: Tracer | None = None,
    ) -> None:
        """`given_to`: what a job's plugin gives it. `at_work`: the attempts whose functions are at
        work here, also those that were left behind; each tells its name as a text."""
        self.node = context.status.node
        self._db = context.db
        self._clock = context.clock
        self._chance = context.chance
        self._jobs = jobs
        self._given_to = given_to
        self.executors = executors
        self._publish = context.publish
        self._lead = lead
        self.stragglers = stragglers
        self._tracer = tracer
        self.at_work: dict[UUID, Attempt] = {}
        self._cancelled: set[UUID] = set()
        self._attempts: dict[UUID, Attempt] = {}  # by token: a run's number may come again
        self._begun = RecentAttempts()
        self._starting: dict[datetime, list[Attempt]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._loggers: dict[str, logging.Logger] = {}
        self._stalls = Stalls(context.db, context.clock, context.publish)
        self._progress = ProgressWriter(context.db, self.node, context.services, self._stalls)
        self._completer = Completer(
            context.db, self.node, jobs, self._written, lead, lambda token: token in stragglers.mine
        )

    @property
    def attempts(self) -> Mapping[UUID, Attempt]:
        """Attempts under way, by token."""
        return self._attempts

    @property
    def busy(self) -> bool:
        """Whether an attempt has begun and is under way, or an outcome is not written yet."""
        begun = any(attempt.began is not None for attempt in self._attempts.values())
        return begun or self._completer.busy

    def start(self, claim: Claim, at: datetime | None = None) -> None:
        """Make an attempt of `claim`, at the instant `at` or now."""
        try:
            attempt = self._attempt(claim)
        except SerenoError as error:
            self._completer.put(refused(claim, fault.message(error), self._clock.now()))
            return
        except Exception as error:  # a plugin's Struct may raise anything
            self._completer.put(refused(claim, fault.sentence(error), self._clock.now()))
            return
        self._attempts[claim.token] = attempt
        self._idle.clear()
        if at is None or self._clock.until(at) <= 0:
            self._begin(attempt)
        elif at in self._starting:  # one timer an instant: at midnight thousands may begin at once
            self._starting[at].append(attempt)
        else:
            self._starting[at] = [attempt]
            self._wait_for(at)

    def stop(self, token: UUID, why: Why, who: str | None = None) -> bool:
        """Ask an attempt to stop; return whether it is this node's."""
        attempt = self._attempts.get(token)
        if attempt is None:
            return False
        attempt.stop(why, who)
        if attempt.began is None:
            self._give_up(attempt)
        return True

    async def poll_cancellations(self) -> None:
        """Stop those of this node's runs that somebody wants to stop; raises StoreError."""
        for row in await runs.cancel_requests(self._db, self.node):
            because = f": {row['reason']}" if row["reason"] else ""
            self.stop(row["token"], "cancelled", f"{row['requested_by']}{because}")
        if self.at_work:
            await self._answer()

    async def _answer(self) -> None:
        """Answer what is asked of this node about its runs; raises StoreError."""
        for row in await node_requests.waiting(self._db, self.node):
            attempt = self.at_work.get(row["token"])
            if attempt is not None:
                await node_requests.answer(self._db, row["id"], stack_of(attempt))

    def begins(self, token: UUID) -> bool:
        """Return whether this attempt was claimed so lately that it has not begun."""
        attempt = self._attempts.get(token)
        return attempt is not None and attempt.began is None

    def unattended(self, owned: Iterable[Record]) -> list[Record]:
        """Return those of `owned` (as `runs.owned`) that have neither attempt nor outcome here.

        Their claim was written and its answer was lost on the way, or their outcome was written and
        the database has lost that commit since.
        """
        return [
            r
            for r in owned
            if r["token"] not in self._attempts and not self._completer.holds(r["token"])
        ]

    def lose(self, unattended: Iterable[Record]) -> None:
        """Have runs tried again, or lost, that this node owns and does not know.

        As they may have run, their attempt counts; unless we would know of it, and it does no harm
        if we are wrong: then they are given back.
        """
        for row in unattended:
            # Never begun, for certain: a claim whose answer was lost. It is given back, without an
            # attempt; but not where the job must not run twice and our memory could be wrong.
            job, policies = row["job"], row["policies"]
            facts = {"run": row["id"], "job": job}
            if may_run_twice(self._jobs, job, policies) and self._begun.never(
                row["token"], row["started_at"]
            ):
                log.warning("a claimed run was not begun here, it is given back", extra=facts)
                self._completer.put(unknown(row, None, self._clock.now()))
                continue
            again = tried_again(self._jobs, job, row["losses"], policies)
            log.warning(
                "this node owns a run that it does not know; it may have run",
                extra={**facts, "again": again},
            )
            self._completer.put(unknown(row, "queued" if again else "lost", self._clock.now()))

    def superseded(self, tokens: Iterable[UUID]) -> None:
        """Stop those attempts of `tokens` that are under way: they are not this node's any more."""
        for token in self._attempts.keys() & set(tokens):
            claim = self._attempts[token].claim
            log.warning(
                "a run is not this node's any more: another has taken it over, or the database has"
                " lost its claim",
                extra={"run": claim.run_id, "job": claim.job},
            )
            self.stop(token, "superseded")

    async def drain(self, limit: timedelta, force: asyncio.Event) -> None:
        """Wait for the runs under way, at most `limit` and no longer than until `force` is set;
        then stop them, and write how all ended.

        Those that have not begun yet are given back at once.
        """
        for token, attempt in list(self._attempts.items()):
            if attempt.began is None:
                self.stop(token, "drained")
        idle, forced = asyncio.ensure_future(self._idle.wait()), asyncio.ensure_future(force.wait())
        try:
            await asyncio.wait(
                {idle, forced},
                timeout=limit.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for token in list(self._attempts):
                self.stop(token, "drained")
            await asyncio.wait({idle, forced}, return_when=asyncio.FIRST_COMPLETED)
            for attempt in list(self._attempts.values()):  # there is none, or it is forced
                attempt.leave_soon()
            await idle
            for token in self._cancelled:  # the loop goes on: they are over
                self.at_work.pop(token, None)
        finally:
            idle.cancel()
            forced.cancel()
        await self._completer.drained()

    async def work(self) -> None:
        """Write outcomes and words for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._completer.work())
            group.create_task(self._progress.work())

    def _wait_for(self, at: datetime) -> None:
        """Begin what starts at the instant `at`, once it has come: a timer may fire early."""
        if self._clock.until(at) > 0:
            self._clock.call_at(at, self._wait_for)
            return
        for attempt in self._starting.pop(at):
            if attempt.why is None:
                self._begin(attempt)

    def _begin(self, attempt: Attempt) -> None:
        lead = self._lead
        handed = attempt.claim.handed
        attempt.context.begin_by = lead.present_until if handed else lead.trusted_until
        if attempt.context.begin_by is None:
            self._give_up(attempt)
            return
        claim, now = attempt.claim, self._clock.now()
        self._publish(
            RunStarted(
                run_id=claim.run_id,
                job=claim.job,
                attempt=claim.attempt,
                slot=claim.slot,
                started_at=now,
                cause=claim.cause,
                part_of_slot=claim.part_of_slot,
            )
        )
        self._begun.add(claim.token, now)
        attempt.begin(now)
        limit = attempt.policies.stalled_after
        if limit is not None:
            self._stalls.watch(claim, attempt.scope, limit, attempt.context.stop.is_set)
        self.at_work[claim.token] = attempt

    def _give_up(self, attempt: Attempt) -> None:
        """Give a run back that has not begun, or say that it was cancelled."""
        self._forget(attempt.claim.token)
        stopped = attempt.why == "cancelled"
        claim, now = attempt.claim, self._clock.now()
        self._completer.put(cancelled(claim, attempt.who, now) if stopped else released(claim, now))

    def _over(self, attempt: Attempt) -> None:
        """Take note that an attempt has ended, or was left behind."""
        if attempt.abandoned:
            self.stragglers.left(attempt, self._end)
            return
        if attempt.why is None and attempt.task is not None and attempt.task.cancelled():
            # What has ended the loop, and so every task, comes to light a moment later: the log
            # of the node's end names this run.
            self._cancelled.add(attempt.claim.token)
            asyncio.get_running_loop().call_later(1, self._gone, attempt)
        else:
            self._gone(attempt)
        self._end(attempt)

    def _end(self, attempt: Attempt) -> None:
        """Have an attempt's outcome written."""
        said = self._forget(attempt.claim.token)
        if attempt.too_late:
            self._completer.put(released(attempt.claim, self._clock.now()))
            return
        outcome = attempt.outcome()
        self._completer.put(outcome if said is None else said.added_to(outcome))

    def _gone(self, attempt: Attempt) -> None:
        """Take note that an attempt's function is over, at last where it was left behind."""
        self.at_work.pop(attempt.claim.token, None)
        self._cancelled.discard(attempt.claim.token)
        if attempt.abandoned:
            self.stragglers.over(attempt)
        self._lead.attempt_over()

    def _forget(self, token: UUID) -> RunProgress | None:
        del self._attempts[token]
        self._lead.attempt_over()
        self._stalls.forget(token)
        if not self._attempts:
            self._idle.set()
        return self._progress.close(token)

    def _attempt(self, claim: Claim) -> Attempt:
        if claim.fault is not None:
            raise SerenoError(f"run {claim.run_id}: {claim.fault}")
        job = self._jobs[claim.job]
        if claim.upstream:
            check_handed_on(job, claim)
        policies = job.policies.changed(claim.policies, f"run {claim.run_id}")
        executor = self.executors.get(policies.executor)
        if executor is None:
            raise SerenoError(f"job '{job.name}': no executor is named '{policies.executor}'")
        params: Any = job.checked_params(claim.params)
        if job.params is not None:
            params = msgspec.convert(params, job.params)
        scope = RunScope(
            job=claim.job, run_id=claim.run_id, attempt=claim.attempt, token=claim.token
        )
        if policies.log_level is not None:
            scope.log_level = logging.getLevelNamesMapping()[policies.log_level.upper()]
        given = self._given_to(claim.job)
        timeout = policies.timeout
        context = RunContext(
            run_id=claim.run_id,
            job=claim.job,
            attempt=claim.attempt,
            token=claim.token,
            params=params,
            settings=given.settings,
            state=given.state,
            log=self._logger(claim.job),
            reporter=self._progress.open(scope),
            slot=claim.slot,
            upstream=claim.upstream or {},
            saved=claim.saved,
            database_url=self._db.dsn,
            deadline=None if timeout is None else self._clock.now() + timeout,
            clock=self._clock.now,
            traceparent=_traceparent(claim),
        )
        return Attempt(
            claim=claim,
            job=job,
            policies=policies,
            context=context,
            executor=executor,
            clock=self._clock,
            chance=self._chance,
            scope=scope,
            over=self._over,
            gone=self._gone,
            tracer=self._tracer,
        )

    def _logger(self, job: str) -> logging.Logger:
        found = self._loggers.get(job)
        if found is None:
            found = self._loggers[job] = logging.getLogger(f"sereno.job.{job}")
        return found

    def _written(self, outcome: Outcome, ours: bool) -> None:
        if not ours:
            log.warning(
                "an outcome is not kept: the run is not this node's any more",
                extra={"run": outcome.run_id, "job": outcome.job},
            )
        self._lead.outcome_written(outcome)
        if ours and not outcome.released:  # of what another took over, that one publishes
            self._publish(
                RunFinished(
                    run_id=outcome.run_id,
                    job=outcome.job,
                    attempt=outcome.attempt,
                    slot=outcome.slot,
                    state=outcome.state,
                    duration=outcome.finished_at - outcome.started_at,
                    error=outcome.error,
                    snoozed=outcome.became == SNOOZED,
                    result=outcome.result,
                    traceback=outcome.traceback,
                )
            )


def _traceparent(claim: Claim) -> str | None:
    context = claim.trace_context
    return None if context is None else next(iter(traceparents(context)), None)
