"""A plugin with a job that changes what all code of a process rests on: clocks, limits, files,
settings of the interpreter."""

import builtins
import decimal
import gc
import locale
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

from sereno import RunContext, every, hookimpl, job

Run = RunContext[dict[str, Any]]


@job("state.tick", schedule=every("500ms"), catch_up="all", overlap="allow")
async def tick(run: Run) -> None:
    """Run twice a second."""


@job("state.thread", executor="thread")
def thread(run: Run) -> str:
    """Work in a thread."""
    return "whole"


@job("state.process", executor="process")
def process(run: Run) -> str:
    """Work in a process."""
    return "whole"


def _no_directory() -> None:
    place = tempfile.mkdtemp()
    os.chdir(place)
    os.rmdir(place)


def _closes(*files: int) -> Callable[[], object]:
    return lambda: [os.close(number) for number in files]


def _limit(what: int, soft: int) -> Callable[[], object]:
    return lambda: resource.setrlimit(what, (soft, resource.getrlimit(what)[1]))


def _wrong(*_: object) -> Any:
    raise RuntimeError("a clock of the job's own")


CHANGES: dict[str, Callable[[], object]] = {
    "time.time": lambda: setattr(time, "time", lambda: 0.0),
    "time.monotonic": lambda: setattr(time, "monotonic", lambda: 0.0),
    "time.clock_gettime": lambda: setattr(time, "clock_gettime", lambda _: 0.0),
    "time.clock_gettime raises": lambda: setattr(time, "clock_gettime", _wrong),
    "recursion": lambda: sys.setrecursionlimit(60),
    "gc off": gc.disable,
    "warnings": lambda: warnings.simplefilter("error"),
    "directory": _no_directory,
    "environment": os.environ.clear,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "decimal": lambda: setattr(decimal.getcontext(), "prec", 2),
    "decimal default": lambda: setattr(decimal.DefaultContext, "prec", 1),
    "umask": lambda: os.umask(0o777),
    "stdin, stdout": _closes(0, 1),
    "stderr": _closes(2),
    "sys.stderr": lambda: sys.stderr.close(),
    "sys.__stderr__": lambda: sys.__stderr__.close(),  # type: ignore[union-attr]
    "files": _limit(resource.RLIMIT_NOFILE, 3),
    "file size": _limit(resource.RLIMIT_FSIZE, 0),
    "processor time": _limit(resource.RLIMIT_CPU, 1),
    "memory": _limit(resource.RLIMIT_AS, 1 << 20),
    "stack": _limit(resource.RLIMIT_STACK, 1 << 16),
    "processes": _limit(resource.RLIMIT_NPROC, 1),
    "socket timeout": lambda: socket.setdefaulttimeout(0.000001),
    "trace": lambda: (sys.settrace(lambda *_: 1 / 0), threading.settrace(lambda *_: 1 / 0)),  # type: ignore[arg-type]
    "profile": lambda: (sys.setprofile(_wrong), threading.setprofile(_wrong)),
    "excepthook": lambda: setattr(sys, "excepthook", _wrong),
    "thread excepthook": lambda: setattr(threading, "excepthook", _wrong),
    "unraisablehook": lambda: setattr(sys, "unraisablehook", _wrong),
    "print": lambda: setattr(builtins, "print", None),
    "switch interval": lambda: sys.setswitchinterval(100),
    "niceness": lambda: os.nice(19),
    "int digits": lambda: sys.set_int_max_str_digits(640),
    "pipe": lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    "child": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
}


@job("state.change")
async def change(run: Run) -> None:
    """Change what is asked, and nothing else: each begins with what those before have left."""
    CHANGES[run.params["what"]]()


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [tick, thread, process, change]
