"""Runs what this node owns: starts attempts, passes their words on, hands their outcomes over."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from sereno.engine.attempt import Attempt, Why
from sereno.engine.clock import Clock
from sereno.engine.context import RunContext
from sereno.engine.executors.executor import Executor
from sereno.engine.outbox import Chains, Outbox
from sereno.engine.result import encode_checkpoint
from sereno.engine.runlog import RunScope
from sereno.engine.storable import storable
from sereno.model.errors import SerenoError, StoreError
from sereno.model.events import RunFinished, RunStarted
from sereno.model.job import Job
from sereno.model.ledger import Claim
from sereno.model.run import Outcome, Progress
from sereno.store import runs
from sereno.store.pool import Database, Record

log = logging.getLogger("sereno.runner")

WORDS_EVERY = 1.0
"""Seconds between writes of progress, checkpoints and log lines of runs under way."""


class Words:
    """The newest words of one attempt, until they are written."""

    def __init__(self, runner: "Runner", claim: Claim) -> None:
        self._runner = runner
        self._words = Progress(run_id=claim.run_id, attempt=claim.attempt)
        self._new = self._said = False

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Keep the newest progress."""
        self._keep(done=done, total=total, note=storable(note))

    def checkpoint(self, value: Any) -> None:
        """Keep the newest checkpoint."""
        self._keep(checkpoint=encode_checkpoint(value))

    def take(self) -> Progress | None:
        """Return the newest words, unless they were taken before."""
        if not self._new:
            return None
        self._new = False
        return self._words

    def last(self) -> Progress | None:
        """Return the newest words, taken before or not; None when nothing was said."""
        return self._words if self._said else None

    def _keep(self, **words: Any) -> None:
        self._words = msgspec.structs.replace(self._words, **words)
        self._new = self._said = True

    def flush(self) -> Awaitable[None]:
        """Write what is new."""
        return self._runner.write_words([self])

    def give_back(self) -> None:
        """Hear that what was taken could not be written."""
        self._new = True

    async def fence(self, connection: Any) -> None:
        """Hold the run's row in `connection`'s transaction."""
        words = self._words
        await runs.fence(connection, words.run_id, words.attempt, self._runner.node)


class Runner:
    """Makes the attempts of the runs that this node has claimed, leading or draining."""

    def __init__(
        self,
        db: Database,
        node: UUID,
        clock: Clock,
        jobs: Mapping[str, Job],
        settings_of: Callable[[str], Any],
        executors: Mapping[str, Executor],
        chains: Chains,
        *,
        publish: Callable[[object], None],
        ended: Callable[[Outcome], None],
        leading: Callable[[], bool],
        trusted_until: Callable[[], float | None],
    ) -> None:
        """`trusted_until`: the steady time until which this node may act as leader, None when it
        may not; no attempt begins then, nor after it.

        (A process that was frozen after it had claimed a run may find it another's.)
        """
        self.node = node
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._settings_of = settings_of
        self._executors = executors
        self._publish = publish
        self._ended = ended
        self._trusted_until = trusted_until
        self._attempts: dict[int, Attempt] = {}
        self._words: dict[int, Words] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._outbox = Outbox(db, node, chains, self._written, leading)

    @property
    def attempts(self) -> Mapping[int, Attempt]:
        """Attempts under way, by run."""
        return self._attempts

    def start(self, claim: Claim, at: datetime | None = None) -> None:
        """Make an attempt of `claim`, at the instant `at` or now."""
        task = asyncio.ensure_future(self._make(claim, at))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, run_id: int, why: Why, who: str | None = None) -> bool:
        """Ask a run to stop; return whether it is this node's."""
        attempt = self._attempts.get(run_id)
        if attempt is None:
            return False
        attempt.stop(why, who)
        return True

    async def hear_cancellations(self) -> None:
        """Stop those of this node's runs that somebody wants to stop; raises StoreError."""
        for row in await runs.cancel_requests(self._db, self.node):
            self.stop(row["run_id"], "cancelled", row["requested_by"])

    def begins(self, run_id: int) -> bool:
        """Tell whether an attempt of this run was claimed so lately that it has not begun."""
        attempt = self._attempts.get(run_id)
        return attempt is not None and attempt.began is None

    def unattended(self, owned: Iterable[Record]) -> list[Record]:
        """Return those of `owned` (id, job, attempt) that have neither attempt nor outcome here.

        Their claim was written, and its answer was lost on the way.
        """
        return [
            r for r in owned if r["id"] not in self._attempts and not self._outbox.holds(r["id"])
        ]

    def give_back(self, unattended: Iterable[Record]) -> None:
        """Put runs that nobody attends to back into the queue; their attempt does not count."""
        now = self._clock.now()
        for row in unattended:
            log.warning("a claimed run was never begun, it is given back", extra={"run": row["id"]})
            self._outbox.put(
                Outcome(
                    run_id=row["id"],
                    job=row["job"],
                    attempt=row["attempt"],
                    state="queued",
                    started_at=now,
                    finished_at=now,
                    retry_at=now,
                    released=True,
                )
            )

    def superseded(self, owned: Iterable[int]) -> None:
        """Stop every attempt whose run is not among `owned` any more."""
        still = set(owned)
        for run_id, attempt in list(self._attempts.items()):
            if run_id not in still:
                log.warning("a run was taken over by another node", extra={"run": run_id})
                attempt.stop("superseded")

    async def drain(self, limit: timedelta) -> None:
        """Wait for the runs under way, at most `limit`; then stop them, and write how all ended.

        Those that have not begun yet are given back at once.
        """
        for attempt in list(self._attempts.values()):
            if attempt.began is None:
                attempt.stop("drained")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=limit.total_seconds())
        for attempt in list(self._attempts.values()):
            attempt.stop("drained")
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._outbox.drained()

    async def work(self) -> None:
        """Write outcomes and words for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._outbox.work())
            group.create_task(self._write_words_for_ever())

    async def write_words(self, words: Iterable[Words]) -> None:
        """Write progress and checkpoints; raises StoreError."""
        taken = [(w, p) for w in words if (p := w.take()) is not None]
        if not taken:
            return
        try:
            await runs.write_progress(self._db, self.node, [p for _, p in taken])
        except StoreError:
            for words_, _ in taken:
                words_.give_back()
            raise

    async def _make(self, claim: Claim, at: datetime | None) -> None:
        try:
            attempt = self._attempt(claim)
        except SerenoError as error:
            self._outbox.put(self._refused(claim, str(error)))
            return
        except Exception as error:  # a plugin's Struct may raise anything
            self._outbox.put(self._refused(claim, f"{type(error).__name__}: {error}"))
            return
        self._attempts[claim.run_id] = attempt
        reached = at is None or await self._reached(at, attempt)
        attempt.context.begin_by = self._trusted_until()
        if not reached or attempt.context.begin_by is None:
            self._forget(claim.run_id)
            cancelled = attempt.why == "cancelled"
            self._outbox.put(
                self._cancelled(claim, attempt.who) if cancelled else self._released(claim)
            )
            return
        self._publish(
            RunStarted(
                run_id=claim.run_id,
                job=claim.job,
                attempt=claim.attempt,
                slot=claim.slot,
                started_at=self._clock.now(),
                cause=claim.cause,
            )
        )
        outcome = await attempt.make()
        words = self._words[claim.run_id].last()
        self._forget(claim.run_id)
        if attempt.too_late:
            self._outbox.put(self._released(claim))
            return
        self._outbox.put(
            outcome if words is None else msgspec.structs.replace(outcome, words=words)
        )

    async def _reached(self, at: datetime, attempt: Attempt) -> bool:
        """Wait for the instant `at`; return False when the attempt was stopped before."""
        while (wait := self._clock.until(at)) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await attempt.told.wait()
            if attempt.why is not None:
                return False
        return True

    def _forget(self, run_id: int) -> None:
        self._attempts.pop(run_id, None)
        self._words.pop(run_id, None)

    def _attempt(self, claim: Claim) -> Attempt:
        job = self._jobs[claim.job]
        policies = job.policies.changed(claim.policies, f"run {claim.run_id}")
        executor = self._executors.get(policies.executor)
        if executor is None:
            raise SerenoError(f"job '{job.name}': no executor is named '{policies.executor}'")
        params: Any = job.checked_params(claim.params)
        if job.params is not None:
            params = msgspec.convert(params, job.params)
        words = self._words[claim.run_id] = Words(self, claim)
        now = self._clock.now()
        context = RunContext(
            run_id=claim.run_id,
            job=claim.job,
            attempt=claim.attempt,
            params=params,
            settings=self._settings_of(claim.job),
            log=logging.getLogger(f"sereno.job.{claim.job}"),
            reporter=words,
            slot=claim.slot,
            upstream=claim.upstream or {},
            saved=claim.saved,
            database_url=self._db.dsn,
            deadline=None if policies.timeout is None else now + policies.timeout,
            clock=self._clock.now,
        )
        scope = RunScope(job=claim.job, run_id=claim.run_id, attempt=claim.attempt)
        return Attempt(
            claim=claim,
            job=job,
            policies=policies,
            context=context,
            executor=executor,
            clock=self._clock,
            scope=scope,
        )

    def _refused(self, claim: Claim, error: str) -> Outcome:
        now = self._clock.now()
        return Outcome(
            run_id=claim.run_id,
            job=claim.job,
            attempt=claim.attempt,
            state="failed",
            started_at=now,
            finished_at=now,
            error=storable(error),
            slot=claim.slot,
        )

    def _cancelled(self, claim: Claim, who: str | None) -> Outcome:
        now = self._clock.now()
        return Outcome(
            run_id=claim.run_id,
            job=claim.job,
            attempt=claim.attempt,
            state="cancelled",
            started_at=now,
            finished_at=now,
            error=f"cancelled by {who} before it began",
            slot=claim.slot,
        )

    def _released(self, claim: Claim) -> Outcome:
        now = self._clock.now()
        return Outcome(
            run_id=claim.run_id,
            job=claim.job,
            attempt=claim.attempt,
            state="queued",
            started_at=now,
            finished_at=now,
            retry_at=claim.slot or now,
            released=True,
        )

    def _written(self, outcome: Outcome, ours: bool) -> None:
        if not ours:
            log.warning(
                "an outcome came too late: the run has another owner",
                extra={"run": outcome.run_id, "job": outcome.job},
            )
        self._ended(outcome)
        if not outcome.released:
            self._publish(
                RunFinished(
                    run_id=outcome.run_id,
                    job=outcome.job,
                    attempt=outcome.attempt,
                    slot=outcome.slot,
                    state=outcome.state if ours else "lost",
                    duration=outcome.finished_at - outcome.started_at,
                    error=outcome.error,
                    result=outcome.result,
                )
            )

    async def _write_words_for_ever(self) -> None:
        while True:
            await asyncio.sleep(WORDS_EVERY)
            try:
                await self.write_words(list(self._words.values()))
                await self._write_lines()
            except StoreError as error:
                log.debug("words of runs wait", extra={"error": str(error)})

    async def _write_lines(self) -> None:
        taken = []
        for attempt in list(self._attempts.values()):
            first, lines = attempt.scope.take()
            if lines:
                taken.append((attempt, first, lines))
        if not taken:
            return
        try:
            await runs.write_lines(
                self._db,
                [(a.claim.run_id, a.claim.attempt, first, lines) for a, first, lines in taken],
            )
        except StoreError:
            for attempt, _, lines in taken:
                attempt.scope.give_back(lines)
            raise
