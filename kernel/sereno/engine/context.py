"""What a job receives: who it is, what it may say, and how it learns that it must stop."""

import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID, uuid4

import msgspec

from sereno.engine.result import encode_checkpoint
from sereno.engine.run_messages import keyed_message
from sereno.engine.services import Services
from sereno.model.duration import parse_duration
from sereno.model.errors import ParamsError, RunCancelled
from sereno.model.fan_out import FanIn, FanOut, OnFailure, fan_in
from sereno.model.job import Job, name_of
from sereno.model.message import Message
from sereno.model.policy_types import Duration
from sereno.model.run import SaidMessage
from sereno.model.type_variables import P
from sereno.store.fan_outs import fan_out_request
from sereno.store.run_request import checked_start_by, enqueue_in, run_request

T = TypeVar("T")


class Reporter(Protocol):
    """Where a run's words go: buffered by the runner, written in groups."""

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Keep the newest progress."""
        ...

    def checkpoint(self, value: Any) -> None:
        """Keep the newest checkpoint; written before the attempt's outcome at the latest."""
        ...

    def warn(self, text: str) -> None:
        """Count a warning; from any thread."""
        ...

    def notify(self, message: SaidMessage) -> None:
        """Keep a message to people; written before the attempt's outcome at the latest."""
        ...

    @property
    def services(self) -> Services:
        """Return what the run may ask of its node."""
        ...

    def flush(self) -> Awaitable[None]:
        """Write what is kept now, and return when it is durable."""
        ...

    def fence(self, connection: Any) -> Awaitable[None]:
        """Make `connection`'s open transaction fail unless this run is still its owner's."""
        ...


class StopFlag:
    """Set once, from any thread; nobody waits for it, so it needs no lock."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Ask the run to stop."""
        self._set = True

    def is_set(self) -> bool:
        """Return whether it has been asked to."""
        return self._set


# Over seven: a job reads what it needs as plain names of its run (`run.params`, `run.slot`); the
# runner makes it, and the child process of one, by name.
class RunContext(msgspec.Struct, Generic[P], kw_only=True):
    """One attempt of one run.

    `params`: the job's Struct, or a dict where it declares none. `upstream`: results of the runs
    that this one was chained after, by job name. `settings`: the plugin's Struct. `state`: what
    the plugin's lifespan yielded, the same object in tasks and threads; None where it has none, and
    in the child of ``executor="process"``, which has the settings alone. `saved`: the last
    checkpoint of this run's earlier attempts, None at first. `slot`: None for ad-hoc runs.
    `database_url`: the kernel's own database (a secret: never log it). `begin_by`: the steady time
    at which an executor calls the function at the latest, None for whenever. `traceparent`: below
    which belongs what this run asks others for (in a header, or with ``sereno.enqueue``), None
    where there is no trace. `token`: what this attempt is known by, and no other ever: its numbers
    come again when PostgreSQL has lost the commit that gave them out. `fanned`: keys of this
    attempt's fan-outs.
    """

    run_id: int
    job: str
    attempt: int
    params: P
    settings: Any
    state: Any = None
    log: logging.Logger
    reporter: Reporter
    slot: datetime | None = None
    upstream: Mapping[str, Any] = {}
    saved: Any = None
    database_url: str = ""
    deadline: datetime | None = None
    begin_by: float | None = None
    traceparent: str | None = None
    token: UUID = msgspec.field(default_factory=uuid4)
    fanned: tuple[str, ...] = ()
    clock: Callable[[], datetime]
    stop: StopFlag = msgspec.field(default_factory=StopFlag)

    def now(self) -> datetime:
        """Return the database's time, aware UTC."""
        return self.clock()

    @property
    def cancelled(self) -> bool:
        """Return whether this run has been asked to stop."""
        return self.stop.is_set()

    def check(self) -> None:
        """Raise RunCancelled when this run has been asked to stop: for loops in threads."""
        if self.stop.is_set():
            raise RunCancelled(f"run {self.run_id} of job '{self.job}' has been asked to stop")

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the run is; cheap, never blocks, and where a thread can be cancelled.

        `total` 0 or None: nobody knows. What is done may be more than that: it is shown as 100 %.
        """
        self.check()
        _check_words(done, 0 if total is None else total, note)
        self.reporter.progress(done, total, note)

    def checkpoint(self, value: Any) -> None:
        """Keep `value` (JSON) for the next attempt; durable after `flush` or the end."""
        encode_checkpoint(value)  # what cannot be kept is this job's fault, here
        self.reporter.checkpoint(value)

    def warn(self, text: str) -> None:
        """Say what somebody should look at, though the run goes on: logged, kept, and counted.

        Of an attempt 50 texts are kept, of 1,000 characters each; one that is said again counts on.
        """
        if not isinstance(text, str):
            raise TypeError(f"warn: {text!r:.100} is no text")
        self.log.warning("%s", text, stacklevel=2)
        self.reporter.warn(text)

    def notify(self, message: Message, *, key: str | None = None) -> str:
        """Tell people, through what plugins bring to carry messages; return its `message_id`.

        Kept with the run, durable after `flush` or the end, and carried by who leads, in seconds;
        where nobody carries it, it is kept. The next attempt says it again, unless it has a `key`:
        of one key a job tells once, until the record is pruned. Raises DeclarationError for a
        message that cannot be kept.
        """
        said = keyed_message(self.job, message, key)
        self.reporter.notify(said)
        return str(said.token)

    async def flush(self) -> None:
        """Make progress, checkpoint, warnings and messages durable now."""
        await self.reporter.flush()

    async def fence(self, connection: Any) -> None:
        """Bind `connection`'s open transaction in the kernel's database to this run's ownership.

        The transaction then commits only while no other node has taken the run over. Raises
        RunSuperseded when one has. `connection`: an asyncpg connection inside a transaction.
        """
        await self.reporter.fence(connection)

    async def enqueue(
        self,
        job: Job[Any] | str,
        params: Mapping[str, Any] | msgspec.Struct | None = None,
        *,
        run_at: datetime | None = None,
        delay: Duration | None = None,
        priority: int | None = None,
        unique_key: str | None = None,
        start_by: Duration | None = None,
        tags: Iterable[str] = (),
        unique_for: Duration | None = None,
        unique_by: Sequence[str] | None = None,
        connection: Any = None,
    ) -> int:
        """Queue a run of another job, and return its id.

        `connection`: of asyncpg or psycopg 3 to the kernel's database, in whose transaction it is
        queued: with `fence` before it, exactly once however often this run is tried. Without one it
        is queued at once, and again by the next attempt, unless a `unique_key` is held by a run
        that waits or works, or for `unique_for` (of the params, or those that `unique_by` names,
        where there is no key). `run_at`, `delay`: one of them. `start_by`: not begun within so long
        of its instant, it ends unbegun; None: as its job says. Raises ParamsError, NotFoundError.
        """
        name = name_of(job)
        if run_at is not None and delay is not None:
            raise ParamsError(f"job '{name}': run_at and delay are both given; give one")
        given = msgspec.to_builtins(params) if isinstance(params, msgspec.Struct) else params or {}
        request = run_request(
            name,
            given if isinstance(job, str) else job.checked_params(given),
            requested_by=self._name,
            run_at=run_at if delay is None else self.now() + parse_duration(delay),
            priority=priority,
            unique_key=unique_key,
            trace_context=self.traceparent,
            start_by=checked_start_by(name, start_by),
            tags=tags,
            unique_for=unique_for,
            unique_by=unique_by,
        )
        if connection is not None:
            return await enqueue_in(connection, request)
        return await self.reporter.services.enqueue(request)

    async def fan_out(
        self,
        job: Job[Any] | str,
        params: Sequence[Mapping[str, Any] | msgspec.Struct],
        *,
        then: Job[Any] | str | None = None,
        then_params: Mapping[str, Any] | msgspec.Struct | None = None,
        on_failure: OnFailure = "fail",
        key: str = "",
        priority: int | None = None,
        connection: Any = None,
    ) -> FanOut:
        """Queue a run of `job` for each of `params`, and one of `then` once all are over.

        Once, however often this run is tried: an attempt after it finds what the first has queued,
        whatever it gives. Who fans out twice gives each a `key`. `on_failure`: where some did not
        succeed, `then` fails, or runs all the same ("continue"), and its ``run.fan_in`` tells of
        them. `priority` None: one lower than the job's, so that other work is not held up; behind
        work without end, one place of four is a child's. `connection`: of asyncpg, in whose
        transaction they are queued, which is fenced. Raises RunSuperseded, ParamsError,
        NotFoundError.
        """
        if key in self.fanned:
            raise ParamsError(
                f"fan_out to job '{name_of(job)}': the key '{key!s:.60}' is used already by this "
                "run; give each fan-out a key of its own"
            )
        request = fan_out_request(
            self.run_id,
            name_of(job),
            [_given(job, each) for each in params],
            then=None if then is None else name_of(then),
            then_params=None if then_params is None else _given(then or "", then_params),
            on_failure=on_failure,
            key=key,
            priority=priority,
            trace_context=self.traceparent,
        )
        found = await self.reporter.services.fan_out(request, self.fence, connection)
        self.fanned = (*self.fanned, key)
        return found

    @property
    def fan_in(self) -> FanIn | None:
        """Return what became of the runs that this one was to wait for, None where it was not
        queued by ``fan_out(then=...)``."""
        return fan_in(self.upstream)

    @property
    def client(self) -> Any:
        """Return a ``sereno.Client``, whose doings are recorded as this run's.

        It is typed where it is named so: ``client: Client = run.client``.
        """
        return self.reporter.services.client(self._name)

    @property
    def _name(self) -> str:
        return f"run {self.run_id} of job '{self.job}'"

    def database(self) -> AbstractAsyncContextManager[Any]:
        """Lend an asyncpg connection to the kernel's database: ``async with run.database() as c``.

        Of a pool that jobs alone use, bounded on each node by `job_connections`. In a plain
        function: a connection of its own to `database_url`, or `wait_for`.
        """
        return self.reporter.services.database()

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Wait in a plain function, as ``run.wait_for(run.enqueue("shop.mail"))``.

        The node's loop awaits it, or in a process of the run's own a loop there. Raises what it
        raises, and RunCancelled when this run is to stop meanwhile; RuntimeError in an async job.
        """
        return self.reporter.services.wait_for(awaitable, self.stop.is_set)


def _given(job: Job[Any] | str, params: Mapping[str, Any] | msgspec.Struct) -> Mapping[str, Any]:
    given = msgspec.to_builtins(params) if isinstance(params, msgspec.Struct) else params
    return given if isinstance(job, str) else job.checked_params(given)


def _check_words(done: object, total: object, note: object) -> None:
    for name, number in (("done", done), ("total", total)):
        if not isinstance(number, int | float) or not _is_finite(number):
            raise TypeError(f"progress: done and total are numbers, {number!r:.100} is none")
        if number < 0:
            raise ValueError(f"progress: {name} is {number!r:.100}, it must be 0 or more")
    if not isinstance(note, str):
        raise TypeError(f"progress: note is {note!r}, it must be a text")


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an int that no float can hold, nor PostgreSQL keep
        return False
