"""Runs jobs in processes of their own: bounded in memory, killed at their deadline, their crash
theirs alone."""

import asyncio
import inspect
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec

from sereno.engine.context import Reporter, RunContext
from sereno.engine.executors.executor import ChildError, Executor, make_sure
from sereno.engine.executors.wire import (
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
from sereno.engine.services import Clients
from sereno.model.errors import RunCancelled, RunSuperseded, SerenoError, StoreError
from sereno.model.job import Job
from sereno.model.policies import Policies
from sereno.model.retry import Retry
from sereno.model.snooze import Snooze
from sereno.settings import TracingSettings
from sereno.store.run_request import RunRequest

STOP_PATIENCE = 1.0
"""Seconds that a job which was told to stop has, before its process is killed."""


class InProcess(Executor):
    """A new process, and process group, for each attempt; at most `processes` at once.

    The job's function must be found by its name in its module. A job that takes more than
    ``memory_limit_mb`` meets MemoryError.
    """

    def __init__(
        self,
        processes: int,
        node: UUID,
        tracing: TracingSettings | None = None,
        clients: type[Clients] | None = None,
    ) -> None:
        """`tracing`: how a child sends its spans, None where nobody traces. `clients`: what a child
        makes ``run.client`` with, of the database's URL."""
        self.capacity = processes
        self._node = node
        self._tracing = tracing
        self._clients = None if clients is None else _path_of(clients)

    async def execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        """Run the function in a child; on cancellation ask it to stop, then kill it."""
        self.busy += 1
        try:
            return await self._execute(job, context, policies)
        finally:
            self.busy -= 1

    async def _execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sereno.engine.executors.child",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        receiving = asyncio.ensure_future(_receive(reader, writer, context))
        try:
            # Here and not in the child, whose imports may take longer than any lease.
            make_sure(context)
            writer.write(framed(self._start(job, context, policies)))
            ended = await asyncio.shield(receiving)
        except asyncio.CancelledError:
            context.stop.set()
            writer.write(framed(Stop()))
            await asyncio.wait({receiving}, timeout=STOP_PATIENCE)
            ended = receiving.result() if receiving.done() else None
            if ended is None:
                raise
        finally:
            receiving.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = await process.wait()
            writer.close()
        return _result(ended, code, policies.retry)

    def _start(self, job: Job, context: RunContext[Any], policies: Policies) -> Start:
        function = inspect.unwrap(job.function)
        settings = context.settings
        kind = type(settings)
        typed = isinstance(settings, msgspec.Struct)
        return Start(
            path=sys.path,
            module=function.__module__,
            name=function.__qualname__,
            run_id=context.run_id,
            job=context.job,
            attempt=context.attempt,
            token=context.token,
            node=str(self._node),
            params=context.params,
            settings=settings,
            settings_type=_path_of(kind) if typed else None,
            clients_type=self._clients,
            slot=context.slot,
            upstream=dict(context.upstream),
            saved=context.saved,
            database_url=context.database_url,
            deadline=context.deadline,
            now=context.now(),
            memory_limit_mb=policies.memory_limit_mb,
            retry=policies.retry,
            log_level=logging.getLogger().level,
            traceparent=context.traceparent,
            tracing=self._tracing,
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
