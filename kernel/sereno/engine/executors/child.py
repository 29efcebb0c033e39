"""The other side of a process executor: one attempt in a process of its own.

It ends with its parent, however that ends: the socket that joins them is then at its end, and on
Linux the kernel sends a signal as well (a job may hold the interpreter's lock for ever).
"""

import asyncio
import ctypes
import importlib
import inspect
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from sereno.engine.clock import steady
from sereno.engine.context import RunContext, StopFlag
from sereno.engine.executors.wire import (
    Checkpointed,
    Enqueue,
    EnqueuedRun,
    Flush,
    Flushed,
    Logged,
    Notified,
    Order,
    Progressed,
    Raised,
    Report,
    Returned,
    Start,
    Stop,
    Warned,
    decode_order,
    framed,
)
from sereno.engine.forks import end_if_forked, own_forks
from sereno.engine.job_services import awaited, refuse_in_loop
from sereno.engine.kept_text import kept
from sereno.engine.own_logging import keep_logging, put_logging_back
from sereno.engine.progress import MAX_NOTE
from sereno.engine.record_text import whole
from sereno.engine.result import encode_checkpoint, encode_result
from sereno.engine.run_streams import log_rest, take_streams
from sereno.engine.run_warnings import MAX_WARNING
from sereno.engine.runlog import MAX_MESSAGE
from sereno.engine.services import Clients
from sereno.model import errors, fault
from sereno.model.errors import (
    RunCancelled,
    RunError,
    RunSuperseded,
    StoreUnavailableError,
)
from sereno.model.job import Job
from sereno.model.retry import Retry
from sereno.model.run import SaidMessage
from sereno.model.snooze import Snooze
from sereno.model.text import cut
from sereno.store import runs
from sereno.store.job_pool import JobPool, LentConnection
from sereno.store.run_request import RunRequest
from sereno.tracing import Tracer, open_tracer

_SPANS_LIMIT = 0.8
"""Seconds that a collector which does not answer may hold a run up: less than the parent's patience
with a job that was told to stop."""

_PR_SET_PDEATHSIG = 1

_CONNECTIONS = 2
"""Connections to the database that one child opens at most for its job."""

T = TypeVar("T")


class _Line:
    """The socket to the parent: reports go out whole, orders come in on a thread."""

    def __init__(self, joined: socket.socket) -> None:
        self._socket = joined
        self._lock = threading.Lock()
        self._answers: SimpleQueue[Flushed | EnqueuedRun] = SimpleQueue()
        self._asking = threading.Lock()
        self.stop = StopFlag()
        self._on_stop: Callable[[], None] | None = None

    def receive(self) -> Order:
        size = int.from_bytes(self._exactly(4), "big")
        return decode_order(self._exactly(size))

    def send(self, report: Report) -> None:
        with self._lock:
            self._socket.sendall(framed(report))

    def flush(self) -> None:
        answer = self._ask(Flush())
        if answer.error:
            raise StoreUnavailableError(answer.error)

    def enqueue(self, request: RunRequest) -> int:
        answer = self._ask(Enqueue(request))
        if isinstance(answer, EnqueuedRun) and answer.run_id is not None:
            return answer.run_id
        raise getattr(errors, getattr(answer, "kind", ""), RunError)(answer.error)

    def _ask(self, question: Report) -> Flushed | EnqueuedRun:
        with self._asking:  # one after another, so that each gets its own answer
            self.send(question)
            return self._answers.get()

    def listen(self, on_stop: Callable[[], None]) -> None:
        """Take orders for ever, on this thread."""
        self._on_stop = on_stop
        while True:
            match self.receive():
                case Stop():
                    self.stop.set()
                    on_stop()
                case Flushed() | EnqueuedRun() as answer:
                    self._answers.put(answer)
                case Start():
                    pass

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            try:
                part = self._socket.recv(size - len(found))
            except OSError:
                part = b""
            if not part:  # the parent is gone: nobody waits for us any more
                os.killpg(os.getpgid(0), signal.SIGKILL)
            found += part
        return bytes(found)


class _Reporter:
    """Passes a run's words on to the parent."""

    def __init__(self, line: _Line, start: Start) -> None:
        self._line = line
        self._start = start
        self.services = _Services(line, start)

    def progress(self, done: float, total: float | None, note: str) -> None:
        self._line.send(Progressed(done, total, cut(note, MAX_NOTE)))

    def checkpoint(self, value: Any) -> None:
        encode_checkpoint(value)  # raises here, in the job, what would be refused there
        self._line.send(Checkpointed(value))

    def notify(self, message: SaidMessage) -> None:
        self._line.send(Notified(message))

    def warn(self, text: str) -> None:
        self._line.send(Warned(kept(text, MAX_WARNING)))

    async def flush(self) -> None:
        await asyncio.to_thread(self._line.flush)

    async def fence(self, connection: Any) -> None:
        start = self._start
        await runs.fence(connection, start.run_id, start.attempt, start.token, UUID(start.node))


class _Services:
    """The parent queues runs; connections are this process' own, opened by its first use."""

    def __init__(self, line: _Line, start: Start) -> None:
        self._line = line
        self._start = start
        self._pool = JobPool(start.database_url, size=_CONNECTIONS)
        self._clients: Clients | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = threading.Lock()

    def database(self) -> LentConnection:
        return self._pool.lent()

    async def enqueue(self, request: RunRequest) -> int:
        return await asyncio.to_thread(self._line.enqueue, request)

    def client(self, requested_by: str) -> Any:
        if self._clients is None:
            if self._start.clients_type is None:
                raise RunError("run.client: this node was put together without one")
            self._clients = _named(self._start.clients_type)(self._start.database_url)
        return self._clients.of(requested_by)

    def wait_for(self, awaitable: Awaitable[T], stopped: Callable[[], bool]) -> T:
        refuse_in_loop(awaitable)
        with self._waiting:  # one loop: what is opened in it belongs to it
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            return self._loop.run_until_complete(awaited(awaitable))


class _Logs(logging.Handler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        text = whole(record, MAX_MESSAGE)
        self._line.send(Logged(record.name, record.levelno, text, record.created))


def main() -> None:
    """Do what the parent asks for over the file descriptor in ``argv[1]``."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    line = _Line(socket.socket(fileno=int(sys.argv[1])))
    start = line.receive()
    if not isinstance(start, Start):
        raise TypeError(f"the first order is {start!r}, no Start")
    if start.memory_limit_mb is not None:
        limit = start.memory_limit_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    sys.path[:] = start.path
    root = logging.getLogger()
    root.handlers[:] = [_Logs(line)]
    root.setLevel(start.log_level)
    keep_logging(*root.handlers, report=_report)
    take_streams(everybody=True)
    own_forks()
    tracer = _traced(start)
    raised: BaseException | None = None
    try:
        report: Report = Returned(encode_result(_call(start, line)))
    except BaseException as error:  # whatever it is, the parent is to hear of it
        # Told to stop, why it was is what counts, and that is its parent's to judge.
        rule = Retry() if line.stop.is_set() else start.retry
        report, raised = _raised(error, rule), error
    end_if_forked(raised)  # a child of the job's has nothing to report
    log_rest()
    if tracer is not None:
        tracer.close(_SPANS_LIMIT)  # before the report: its parent ends us once it has that
    line.send(report)
    logging.shutdown()
    os._exit(0)  # threads that the job left behind may not keep the process


@cache
def _report(act: str) -> None:
    logging.getLogger("sereno.log").warning("this run %s; it goes on as it was", act)


def _traced(start: Start) -> Tracer | None:
    """Let the job's own spans belong below its attempt's, where the parent traces."""
    if start.tracing is None or start.traceparent is None:
        return None
    try:
        tracer = open_tracer(start.tracing, start.node)
        tracer.enter(start.traceparent)
        return tracer
    except Exception:  # a span is not worth the run
        logging.getLogger("sereno.tracing").exception("the job's own spans are not traced")
        return None


def _named(path: str) -> Any:
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def _call(start: Start, line: _Line) -> Any:
    declared: Any = importlib.import_module(start.module)
    for part in start.name.split("."):
        declared = getattr(declared, part)
    function = declared.function if isinstance(declared, Job) else declared
    params = start.params
    if isinstance(declared, Job) and declared.params is not None:
        params = msgspec.convert(params, declared.params)
    settings = start.settings
    if start.settings_type is not None:
        settings = msgspec.convert(settings, _named(start.settings_type), strict=False)
    began = steady()

    def now() -> datetime:
        return start.now + timedelta(seconds=steady() - began)

    context: RunContext[Any] = RunContext(
        run_id=start.run_id,
        job=start.job,
        attempt=start.attempt,
        token=start.token,
        params=params,
        settings=settings,
        log=logging.getLogger(f"sereno.job.{start.job}"),
        reporter=_Reporter(line, start),
        slot=start.slot,
        upstream=start.upstream,
        saved=start.saved,
        database_url=start.database_url,
        deadline=start.deadline,
        traceparent=start.traceparent,
        clock=now,
        stop=line.stop,
    )
    put_logging_back()  # what the job's module did to it as it was imported
    if inspect.iscoroutinefunction(function):
        return asyncio.run(_await(function, context, line))
    threading.Thread(target=line.listen, args=(lambda: None,), daemon=True).start()
    return function(context)


async def _await(function: Callable[..., Any], context: RunContext[Any], line: _Line) -> Any:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(function(context))

    def stop() -> None:
        loop.call_soon_threadsafe(task.cancel)

    threading.Thread(target=line.listen, args=(stop,), daemon=True).start()
    return await task


def _raised(error: BaseException, retry: Retry) -> Raised:
    if isinstance(error, Snooze):
        return Raised(error.reason, "", "snoozed", error.delay, error.until)
    kind = "error"
    if isinstance(error, RunCancelled | asyncio.CancelledError):
        kind = "cancelled"
    elif isinstance(error, RunSuperseded):
        kind = "superseded"
    elif retry.is_final(error):
        kind = "final"
    text = fault.sentence(error) if kind in ("error", "final") else fault.message(error)
    return Raised(text, fault.traceback_of(error), kind)


if __name__ == "__main__":
    main()
