"""Runs jobs in processes of their own: bounded in memory, killed at their deadline, their crash
theirs alone."""

import asyncio
import inspect
import logging
import signal
import sys
from typing import Any
from uuid import UUID

import msgspec

from sereno.engine.context import Reporter, RunContext
from sereno.engine.executors.child_process import Child
from sereno.engine.executors.executor import CutOffError, make_sure
from sereno.engine.executors.wire import (
    Alive,
    Checkpointed,
    Enqueue,
    EnqueuedRun,
    Flush,
    Flushed,
    Logged,
    Notified,
    Progressed,
    Raised,
    Report,
    Returned,
    Start,
    Stop,
    Warned,
    Words,
    decode_report,
    framed,
)
from sereno.engine.result import Encoded
from sereno.model.errors import RunCancelled, RunSuperseded, SerenoError, StoreError
from sereno.model.executor import ChildError, Executor, ExecutorNode
from sereno.model.executor_rule import check_found_by_name
from sereno.model.job import Job
from sereno.model.policies import Policies
from sereno.model.retry import Retry
from sereno.model.snooze import Snooze
from sereno.store.run_request import RunRequest

_ALIVE_IN_A_LEASE = 4
"""Words to a child in the time after which it takes its node for frozen."""

_LOOKS_IN_A_LEASE = 10
"""How often a node looks whether it is cut off, where that ends its children."""

STOP_PATIENCE = 1.0
"""Seconds that a job which was told to stop has, before its process is killed."""


class InProcess(Executor):
    """A process, and process group, for each attempt; at most `processes` at once.

    The job's function must be found by its name in its module. A job that takes more than
    ``memory_limit_mb`` meets MemoryError. Where the node is frozen, its children end by themselves
    before their runs are another's.
    """

    def __init__(
        self, processes: int, *, warm: bool = False, strict: bool = False, nice: int = 0
    ) -> None:
        """`warm`: a child that has done its work is kept for the next, unless it was told to stop,
        ran out of memory, or left something behind; imports are paid for once. `strict`: a child
        ends, and its run is lost as its job says, while the node is cut off from the database and
        before the run may be another's; without, it works on, and what it brings is refused then.
        `nice`: by so much children are nicer than this process, as ``nice -n`` has it.
        """
        self.capacity = processes
        self._strict = strict
        self._warm = warm
        self._nice = nice
        self._node: ExecutorNode | None = None
        self._children: dict[UUID, Child] = {}
        self._idle: list[Child] = []

    async def begin(self, node: ExecutorNode) -> None:
        """Take note of whose children they are."""
        self._node = node

    async def close(self) -> None:
        """End the children that have nothing to do."""
        while self._idle:
            await self._idle.pop().end()

    def check(self, job: Job) -> None:
        """Raise DeclarationError where a child could not find the function."""
        check_found_by_name(job.function, job.policies.executor, f"job '{job.name}'")

    def process_of(self, token: UUID) -> int | None:
        """Return the number of the child that works on the attempt of `token`, None for none."""
        child = self._children.get(token)
        return None if child is None else child.pid

    async def execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        """Run the function in a child; on cancellation ask it to stop, then kill it."""
        self.busy += 1
        try:
            return await self._execute(job, context, policies)
        finally:
            self.busy -= 1

    async def _execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        child = await self._child()
        self._children[context.token] = child
        receiving = asyncio.ensure_future(_receive(child.reader, child.writer, context))
        ended: Returned | Raised | None = None
        stopped, code = False, 0
        try:
            # Here and not in the child, whose imports may take longer than any lease.
            make_sure(context)
            child.send(self._start(job, context, policies))
            ended = await self._watched(child, receiving)
        except asyncio.CancelledError:
            stopped = True
            context.stop.set()
            child.send(Stop())
            await asyncio.wait({receiving}, timeout=STOP_PATIENCE)
            ended = receiving.result() if receiving.done() else None
            if ended is None:
                raise
        finally:
            receiving.cancel()
            del self._children[context.token]
            if ended is None or ended.spent or stopped:
                code = await child.end()
            else:
                self._idle.append(child)
        return _result(ended, code, policies.retry)

    async def _child(self) -> Child:
        """Return a child that has nothing to do."""
        while self._idle:
            child = self._idle.pop()  # the last one: the others may be swapped out
            if child.at_rest:
                return child
            await child.end()
        return await Child.begun(self._nice)

    async def _watched(
        self, child: Child, receiving: "asyncio.Task[Returned | Raised | None]"
    ) -> Returned | Raised | None:
        """Wait for a child's last report, and tell it meanwhile that this process is not frozen."""
        node = self._node
        often = _LOOKS_IN_A_LEASE if self._strict else _ALIVE_IN_A_LEASE
        every = None if node is None else node.lease.total_seconds() / often
        while True:
            done, _ = await asyncio.wait({receiving}, timeout=every)
            if done:
                return receiving.result()
            if self._strict and node is not None and not node.in_touch():
                raise CutOffError("its node had heard nothing of the database, and ended it")
            child.send(Alive())

    def _start(self, job: Job, context: RunContext[Any], policies: Policies) -> Start:
        function = inspect.unwrap(job.function)
        settings = context.settings
        kind = type(settings)
        typed = isinstance(settings, msgspec.Struct)
        mine = self._node
        clients = None if mine is None else mine.clients
        return Start(
            path=sys.path,
            module=function.__module__,
            name=function.__qualname__,
            run_id=context.run_id,
            job=context.job,
            attempt=context.attempt,
            token=context.token,
            node="" if mine is None else str(mine.id),
            params=context.params,
            settings=settings,
            settings_type=_path_of(kind) if typed else None,
            clients_type=None if clients is None else _path_of(clients),
            slot=context.slot,
            upstream=dict(context.upstream),
            saved=context.saved,
            database_url=context.database_url,
            deadline=context.deadline,
            now=context.now(),
            memory_limit_mb=policies.memory_limit_mb,
            retry=policies.retry,
            log_level=logging.getLogger().level,
            job_level=logging.getLogger("sereno.job").getEffectiveLevel(),
            keep_result=policies.keep_result,
            traceparent=context.traceparent,
            tracing=None if mine is None else mine.tracing,
            silence=None if mine is None else mine.lease.total_seconds(),
            warm=self._warm,
        )


def _path_of(kind: type[Any]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


async def _receive(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: RunContext[Any]
) -> Returned | Raised | None:
    """Take the child's reports until its last; None when it ended without one."""
    while True:
        try:
            size = int.from_bytes(await reader.readexactly(4), "big")
            report: Report = decode_report(await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        match report:
            case Returned() | Raised():
                return report
            case Progressed() | Checkpointed() | Notified() | Warned():
                _pass_on(report, context.reporter)
            case Flush():
                writer.write(framed(await _flushed(context)))
            case Enqueue(request):
                writer.write(framed(await _enqueued(context, request)))
            case Logged(logger, level, message, at):
                record = logging.LogRecord(logger, level, "", 0, message, None, None)
                record.created = at
                logging.getLogger(logger).handle(record)


def _pass_on(words: Words, reporter: Reporter) -> None:
    match words:
        case Progressed(done, total, note):
            reporter.progress(done, total, note)
        case Checkpointed(value):
            reporter.checkpoint(value)
        case Notified(said):
            reporter.notify(said)
        case Warned(text):
            reporter.warn(text)


async def _flushed(context: RunContext[Any]) -> Flushed:
    try:
        await context.reporter.flush()
    except StoreError as error:
        return Flushed(str(error))
    return Flushed()


async def _enqueued(context: RunContext[Any], request: RunRequest) -> EnqueuedRun:
    try:
        return EnqueuedRun(await context.reporter.services.enqueue(request))
    except SerenoError as error:
        return EnqueuedRun(error=str(error), kind=type(error).__name__)


def _result(ended: Returned | Raised | None, code: int, retry: Retry) -> Encoded:
    match ended:
        case Returned(result):
            return result
        case Raised(sentence, _, "cancelled"):
            raise RunCancelled(sentence)
        case Raised(sentence, _, "superseded"):
            raise RunSuperseded(sentence)
        case Raised(reason, _, "snoozed", delay, until):
            raise Snooze(until or delay or 0, reason)
        case Raised(sentence, trace, kind):
            raise ChildError(sentence, trace, final=kind == "final")
        case None:
            how = (
                f"was ended by {signal.Signals(-code).name}"
                if code < 0
                else f"exited with code {code}"
            )
            died = ChildError(f"its process {how} before the job had returned")
            died.final = retry.is_final(died)
            raise died
