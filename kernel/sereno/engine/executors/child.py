"""The other side of a process executor: one attempt in a process of its own, or one after another
in a warm one.

It ends with its parent, however that ends: the socket that joins them is then at its end, and on
Linux the kernel sends a signal as well (a job may hold the interpreter's lock for ever). It ends
also where its parent says nothing for as long as it takes until its runs are another's.
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
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from glob import glob
from pathlib import Path
from typing import Any

import msgspec

from sereno.engine.clock import steady
from sereno.engine.context import RunContext
from sereno.engine.executors.child_services import ChildReporter, ChildServices, named
from sereno.engine.executors.parent_line import ParentLine
from sereno.engine.executors.wire import Logged, Raised, Returned, Start
from sereno.engine.forks import end_if_forked, own_forks
from sereno.engine.own_logging import changing_logging, keep_logging, put_logging_back
from sereno.engine.record_text import whole
from sereno.engine.result import NOT_KEPT, encode_result
from sereno.engine.run_streams import log_rest, take_streams
from sereno.engine.runlog import MAX_MESSAGE
from sereno.model import fault
from sereno.model.errors import RunCancelled, RunSuperseded
from sereno.model.job import Job
from sereno.model.retry import Retry
from sereno.model.snooze import Snooze
from sereno.tracing import Tracer, open_tracer

_SPANS_LIMIT = 0.8
"""Seconds that a collector which does not answer may hold a run up: less than the parent's patience
with a job that was told to stop."""

_PR_SET_PDEATHSIG = 1

_OUR_THREADS = 2
"""The main one, and the one that takes orders."""


class _Logs(logging.Handler):
    def __init__(self, line: ParentLine) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        text = whole(record, MAX_MESSAGE)
        self._line.send(Logged(record.name, record.levelno, text, record.created))


def main() -> None:
    """Do what the parent orders over the file descriptor in ``argv[1]``, and report over that in
    ``argv[2]``; by ``argv[3]`` nicer than it is."""
    orders, reports = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    os.nice(int(sys.argv[3]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    line = ParentLine(orders, reports)
    start = line.next_start()
    sys.path[:] = start.path
    root = logging.getLogger()
    root.handlers[:] = [_Logs(line)]
    _set_levels(start)
    keep_logging(*root.handlers, report=_report)
    take_streams(everybody=True)
    own_forks()
    _work(line, start)
    while start.warm:
        start = line.next_start()
        sys.path[:] = start.path
        put_logging_back()
        with changing_logging():
            _set_levels(start)
        _work(line, start)
    logging.shutdown()
    os._exit(0)  # threads that the job left behind may not keep the process


def _set_levels(start: Start) -> None:
    logging.getLogger().setLevel(start.log_level)
    logging.getLogger("sereno.job").setLevel(start.job_level)


def _work(line: ParentLine, start: Start) -> None:
    """Make one attempt, and report how it ended."""
    _bound(start)
    tracer = _traced(start)
    raised: BaseException | None = None
    try:
        value = _call(start, line)
        report: Returned | Raised = Returned(
            encode_result(value) if start.keep_result else NOT_KEPT
        )
    except BaseException as error:  # whatever it is, the parent is to hear of it
        # Told to stop, why it was is what counts, and that is its parent's to judge.
        rule = Retry() if line.stop.is_set() else start.retry
        report, raised = _raised(error, rule), error
    end_if_forked(raised)  # a child of the job's has nothing to report
    log_rest()
    if tracer is not None:
        tracer.close(_SPANS_LIMIT)  # before the report: its parent ends us once it has that
    if start.warm and not (isinstance(raised, MemoryError) or _left_behind()):
        report = msgspec.structs.replace(report, spent=False)
    line.over(report)


def _bound(start: Start) -> None:
    """Limit this process's memory to what its job may take."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = hard if start.memory_limit_mb is None else start.memory_limit_mb * 1024 * 1024
    # The hard limit too, where this is its only attempt: a job cannot raise that again.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard if start.warm else limit))


def _left_behind() -> bool:
    """Return whether an attempt has left threads or processes, which would work on in the next."""
    if threading.active_count() > _OUR_THREADS:
        return True
    if sys.platform != "linux":
        return False
    found = glob(f"/proc/{os.getpid()}/task/*/children")
    return any(Path(file).read_text() for file in found)


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


def _call(start: Start, line: ParentLine) -> Any:
    declared: Any = importlib.import_module(start.module)
    for part in start.name.split("."):
        declared = getattr(declared, part)
    function = declared.function if isinstance(declared, Job) else declared
    params = start.params
    if isinstance(declared, Job) and declared.params is not None:
        params = msgspec.convert(params, declared.params)
    settings = start.settings
    if start.settings_type is not None:
        settings = msgspec.convert(settings, named(start.settings_type), strict=False)
    began = steady()

    def now() -> datetime:
        return start.now + timedelta(seconds=steady() - began)

    reporter = ChildReporter(line, start)
    context: RunContext[Any] = RunContext(
        run_id=start.run_id,
        job=start.job,
        attempt=start.attempt,
        token=start.token,
        params=params,
        settings=settings,
        log=logging.getLogger(f"sereno.job.{start.job}"),
        reporter=reporter,
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
        return asyncio.run(_await(function, context, line, reporter.services, warm=start.warm))
    try:
        return function(context)
    finally:
        if start.warm:
            reporter.services.close_loop()


async def _await(
    function: Callable[..., Any],
    context: RunContext[Any],
    line: ParentLine,
    services: ChildServices,
    *,
    warm: bool,
) -> Any:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(function(context))

    def stop() -> None:
        with suppress(RuntimeError):  # it has ended meanwhile
            loop.call_soon_threadsafe(task.cancel)

    line.on_stop = stop
    if line.stop.is_set():  # while the job's module was imported
        task.cancel()
    try:
        return await task
    finally:
        if warm:
            await services.close()


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
