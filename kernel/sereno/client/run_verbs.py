"""Verbs of runs: ask for them, wait for them, stop them, read them."""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import msgspec

from sereno.client.verbs import Duration, Verbs, check_texts, checked_id, checked_limit
from sereno.model.bounds import checked_json
from sereno.model.duration import format_duration, parse_duration
from sereno.model.errors import (
    ConflictError,
    NotFoundError,
    ParamsError,
    StoreRightsError,
    StoreUnavailableError,
    WaitTimeoutError,
)
from sereno.model.job import Job, name_of
from sereno.model.run import FINAL, RunState
from sereno.model.titles import checked_tags
from sereno.store import callers, queue, runs, views
from sereno.store.lines import LogEntry, lines_after
from sereno.store.queue import Requested, requested
from sereno.store.run_request import (
    check_request,
    checked_names,
    checked_span,
    checked_start_by,
    run_request,
)
from sereno.store.views import RunDetail

Params = Mapping[str, Any] | msgspec.Struct

_FIRST_LOOK, _LAST_LOOK, _SLOWER = 0.02, 1.0, 1.3
"""Seconds between two looks at a run: at first, in the end, and how they grow."""

_BEYOND = timedelta(days=4_000_000)
"""From now to where no instant can be, which the database refuses; PostgreSQL can add that."""

_LINES_AT_ONCE = 1_000
_MOST_LINES = 10_000


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a wish that a run stop. `state`: ``cancelled`` when it waited and is over,
    ``running`` when its job was asked to stop; any other: it was over before, and stays so."""

    run_id: int
    state: RunState

    @property
    def over_before(self) -> bool:
        """Tell whether there was nothing to stop."""
        return self.state not in ("cancelled", "running")


class RunVerbs(Verbs):
    """Verbs of runs."""

    async def enqueue(
        self,
        job: Job | str,
        params: Params | None = None,
        *,
        run_at: datetime | None = None,
        delay: Duration | None = None,
        priority: int | None = None,
        unique_key: str | None = None,
        start_by: Duration | None = None,
        unique_for: Duration | None = None,
        unique_by: Sequence[str] | None = None,
        requested_by: str | None = None,
        traceparent: str | None = None,
        tags: Iterable[str] = (),
        alone: bool = False,
        place: str | None = None,
        connection: Any = None,
    ) -> int:
        """Queue a run and return its id; with a unique key that one holds, its: `request` tells.

        The key is `unique_key`, or made of the params that `unique_by` names, or of all. It is held
        for `unique_for` from now, also when the run is over; without, as long as it is not. What
        the job declares holds where nothing is said; a `unique_for` of 0 sets it off.
        `job`: as it was declared, or its name. `delay`: from now, by the database's clock.
        `start_by`: not begun within so long of its instant, it ends unbegun; None: as its job says.
        `tags`: it is found by them. `alone`: what is chained after the job does not follow (wants
        EXECUTE on `sereno.alone`, too). `place`: the one host or node at which a run of a job of
        such a scope is to work (wants EXECUTE on `sereno.at_place`, too).
        `connection`: of asyncpg or psycopg 3; the run is queued in its transaction, or not at all
        when that is rolled back. A role with EXECUTE on `sereno.enqueue` and no more can do this as
        long as it names no `requested_by`. Raises NotFoundError for an unknown job, ParamsError on
        params or an instant that do not fit.
        """
        job = name_of(job)
        check_texts(job=job, unique_key=unique_key, requested_by=requested_by, place=place)
        check_texts(traceparent=traceparent)
        check_request(job, run_at, priority)
        tagged = _tags(job, tags)
        at = () if place is None else (place,)
        found = await self._asked(
            connection,
            _block(tagged=bool(tagged), alone=alone, at=bool(at)),
            *(job, self._text(job, params), *_instants(job, run_at, delay), priority, unique_key),
            *(requested_by or self._requested_by, "program", traceparent),
            checked_start_by(job, start_by),
            *_uniqueness(job, unique_for, unique_by),
            *(tagged or ("[]",) * (alone or bool(at))),
            *at,
        )
        return int(found[0])

    async def enqueue_many(
        self,
        job: Job | str,
        params: Sequence[Params],
        *,
        run_at: datetime | None = None,
        delay: Duration | None = None,
        priority: int | None = None,
        start_by: Duration | None = None,
        unique_keys: Sequence[str] | None = None,
        unique_for: Duration | None = None,
        unique_by: Sequence[str] | None = None,
        requested_by: str | None = None,
        traceparent: str | None = None,
        tags: Iterable[str] = (),
        connection: Any = None,
    ) -> list[int]:
        """Queue a run for each of `params`, all or none; return their ids in that order.

        What else is said holds for every one of them, as for `enqueue`; `unique_keys`: of each.
        """
        job = name_of(job)
        check_texts(job=job, requested_by=requested_by, traceparent=traceparent)
        check_request(job, run_at, priority)
        texts = [self._text(job, each, n) for n, each in enumerate(params, 1)]
        return await self._asked(
            connection,
            "enqueue_many_tagged_within" if tags else "enqueue_many_within",
            *(job, f"[{','.join(texts)}]", *_instants(job, run_at, delay), priority),
            *(requested_by or self._requested_by, "program", traceparent),
            checked_start_by(job, start_by),
            *_uniqueness(job, unique_for, unique_by),
            None if unique_keys is None else list(unique_keys),
            *_tags(job, tags),
        )

    async def request(
        self,
        job: Job | str,
        params: Params | None = None,
        *,
        run_at: datetime | None = None,
        delay: Duration | None = None,
        priority: int | None = None,
        unique_key: str | None = None,
        start_by: Duration | None = None,
        unique_for: Duration | None = None,
        unique_by: Sequence[str] | None = None,
        requested_by: str | None = None,
        traceparent: str | None = None,
        tags: Iterable[str] = (),
        alone: bool = False,
        place: str | None = None,
        by_person: bool = False,
    ) -> Requested:
        """Queue a run as `enqueue` does, and tell whether it is a new one and how it stands, or
        which run it is that holds the key, and until when.

        Wants INSERT on the runs, and an instant that is still to come. `place`: the one host or
        node at which a run of a job of such a scope is to work. `by_person`: its cause is
        ``person``.
        """
        job = name_of(job)
        check_texts(job=job, unique_key=unique_key, requested_by=requested_by, place=place)
        check_texts(traceparent=traceparent)
        asked = run_request(
            job,
            self._checked(job, params),
            requested_by=self._by(requested_by),
            run_at=run_at,
            priority=priority,
            unique_key=unique_key,
            trace_context=traceparent,
            start_by=checked_start_by(job, start_by),
            tags=tags,
            unique_for=unique_for,
            unique_by=unique_by,
        )
        later = None if delay is None else parse_duration(delay)
        cause = "person" if by_person else "program"
        try:
            return await queue.request(
                self._db, asked, cause=cause, delay=later, alone=alone, place=place
            )
        except NotFoundError:
            await views.known_job(self._db, job, self._declarations.known)
            raise

    async def request_many(
        self,
        job: Job | str,
        params: Sequence[Params],
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        unique_keys: Sequence[str] | None = None,
        unique_for: Duration | None = None,
        unique_by: Sequence[str] | None = None,
        start_by: Duration | None = None,
        traceparent: str | None = None,
        connection: Any = None,
    ) -> list[Requested]:
        """Queue runs as `enqueue_many` does, and tell of each what `request` tells of one.

        `connection`: as for `enqueue`. Wants EXECUTE on `sereno.request_many` alone.
        """
        job = name_of(job)
        check_texts(job=job, traceparent=traceparent)
        check_request(job, run_at, priority)
        texts = [self._text(job, each, n) for n, each in enumerate(params, 1)]
        found = await self._asked(
            connection,
            "request_many_within",
            *(job, f"[{','.join(texts)}]", run_at, priority, self._requested_by, "program"),
            *(traceparent, checked_start_by(job, start_by)),
            *_uniqueness(job, unique_for, unique_by),
            None if unique_keys is None else list(unique_keys),
        )
        return [requested(text) for text in found]

    async def run(self, run_id: int, *, lines: int = 20, reveal: bool = False) -> RunDetail:
        """Return one run with its attempts, progress, result and last `lines` log lines.

        `reveal`: with the secrets in it. Raises NotFoundError.
        """
        if lines:
            checked_limit(lines, _MOST_LINES)
        return await views.run(self._db, checked_id(run_id), lines=lines, reveal=reveal)

    async def wait(
        self, run_id: int, *, timeout: Duration | None = None, lines: int = 20
    ) -> RunDetail:
        """Return the run once it is over, however it ended.

        Goes on over a database that is away. Raises NotFoundError, and WaitTimeoutError after
        `timeout`: the run goes on then.
        """
        limit = math.inf if timeout is None else parse_duration(timeout).total_seconds()
        until, pause, state = monotonic() + limit, _FIRST_LOOK, "not known yet"
        while True:
            try:
                found = (await runs.states(self._db, [checked_id(run_id)]))[run_id]
                if found is None or found in FINAL:
                    return await self.run(run_id, lines=lines)
                state = found
            except StoreRightsError:
                raise
            except StoreUnavailableError as error:
                state = f"not known: {error}"
            left = until - monotonic()
            if left <= 0:
                raise WaitTimeoutError(
                    f"run {run_id} is {state} after {format_duration(timedelta(seconds=limit))}; "
                    f"it goes on, `sereno show {run_id}` tells of it"
                )
            await asyncio.sleep(min(pause, left))
            pause = min(pause * _SLOWER, _LAST_LOOK)

    async def cancel(
        self, run_id: int, *, reason: str | None = None, requested_by: str | None = None
    ) -> Cancellation:
        """End a run that waits, ask one under way to stop; one that is over stays as it is.

        Raises NotFoundError.
        """
        check_texts(reason=reason, requested_by=requested_by)
        by = self._by(requested_by)
        state = await runs.request_cancel(self._db, checked_id(run_id), by, reason)
        if state is None:
            raise await views.no_run(self._db, run_id)
        return Cancellation(run_id=run_id, state=state)

    async def retry(
        self,
        run_id: int,
        *,
        params: Params | None = None,
        requested_by: str | None = None,
    ) -> int:
        """Queue a run again that is over, as a run of its own with all that it was given; return
        its id.

        `params`: the secret ones, which were not kept. Raises ConflictError while it is not over,
        NotFoundError, and ParamsError.
        """
        by = f"{self._by(requested_by)}, run {checked_id(run_id)} again"
        new = await queue.repeat(self._db, run_id, requested_by=by, params=_plain(params))
        if new is None:
            old = await self.run(run_id, lines=0)
            raise ConflictError(
                f"run {run_id} is {old.state}; only a finished run can be queued again"
            )
        return new

    async def log(
        self,
        run_id: int,
        *,
        after: LogEntry | tuple[int, int] | None = None,
        limit: int = _LINES_AT_ONCE,
    ) -> list[LogEntry]:
        """Return at most `limit` log lines of a run, the oldest first. `after`: the last known, or
        its place as (attempt, line)."""
        limit = checked_limit(limit, _MOST_LINES)
        place = (after.attempt, after.line) if isinstance(after, LogEntry) else after or (1, -1)
        return await lines_after(self._db, checked_id(run_id), place, limit)

    async def follow(
        self, run_id: int, *, after: LogEntry | tuple[int, int] | None = None
    ) -> AsyncGenerator[LogEntry, None]:
        """Give the log lines of a run as they are kept, until it is over.

        Goes on over a database that is away. Raises NotFoundError.
        """
        pause = _FIRST_LOOK
        while True:
            with suppress(StoreUnavailableError):
                state = (await runs.states(self._db, [checked_id(run_id)]))[run_id]
                if state is None:
                    raise await views.no_run(self._db, run_id)
                while found := await self.log(run_id, after=after):
                    pause = _FIRST_LOOK
                    for line in found:
                        yield line
                    after = found[-1]
                if state in FINAL:  # as it was before the lines were read: none comes after
                    return
            await asyncio.sleep(pause)
            pause = min(pause * _SLOWER, _LAST_LOOK)

    async def _asked(self, connection: Any, name: str, *args: Any) -> list[Any]:
        if connection is not None:
            return await callers.values(connection, name, *args)
        return [row[0] for row in await self._db.fetch(name, *args)]

    def _checked(self, job: str, params: Params | None) -> dict[str, Any]:
        known = self._declarations.known.get(job)
        plain = _plain(params)
        return plain if known is None else known.checked_params(plain)

    def _text(self, job: str, params: Params | None, number: int = 0) -> str:
        subject = f"job '{job}': params{f' {number}' if number else ''}"
        return checked_json(self._checked(job, params), subject).decode()


def _block(*, tagged: bool, alone: bool, at: bool) -> str:
    """Return which block queues a run so: a role needs a right to what is asked for alone."""
    how = f"{'alone_' if alone else ''}{'at_' if at else ''}"
    return f"enqueue_{how or ('tagged_' if tagged else '')}within"


def _plain(params: Params | None) -> dict[str, Any]:
    if isinstance(params, msgspec.Struct):
        params = msgspec.to_builtins(params)
    if params is not None and not isinstance(params, Mapping):
        raise ParamsError(
            f"params are a {type(params).__name__}, they must be an object, as a dict or a Struct"
        )
    return dict(params or {})


def _tags(job: str, tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags as the block that takes them wants them, nothing where there are none."""
    found = checked_tags(tags, f"job '{job}'", ParamsError)
    return (msgspec.json.encode(found).decode(),) if found else ()


def _uniqueness(
    job: str, unique_for: Duration | None, unique_by: Sequence[str] | None
) -> tuple[timedelta | None, list[str] | None]:
    names = checked_names(job, unique_by)
    return checked_span(job, unique_for), None if names is None else list(names)


def _instants(
    job: str, run_at: datetime | None, delay: Duration | None
) -> tuple[datetime | None, timedelta | None]:
    if delay is None:
        return run_at, None
    if run_at is not None:
        raise ParamsError(f"job '{job}': run_at and delay are both given; name one of them")
    return None, min(parse_duration(delay), _BEYOND)
