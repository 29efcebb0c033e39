"""A plugin that sets logging anew: at its import as MEDDLING_IMPORT says, and in its jobs."""

import asyncio
import contextlib
import io
import logging
import logging.config
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from sereno import RunContext, hookimpl, job

Run = RunContext[dict[str, Any]]

AS_DJANGO_DOES: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": True,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "CRITICAL"},
}


class _Loud(logging.Logger):
    def handle(self, record: logging.LogRecord) -> None:
        raise ZeroDivisionError


def _drop_in_place() -> None:
    logging.getLogger().handlers[:] = []


def _replace() -> None:
    logging.getLogger().handlers = []


def _remove_each() -> None:
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)


def _silence_each() -> None:
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.CRITICAL)
        handler.addFilter(lambda _: False)


def _disable_ours() -> None:
    for name in list(logging.getLogger().manager.loggerDict):
        logging.getLogger(name).disabled = True
    logging.getLogger("sereno").propagate = False
    logging.getLogger("sereno.runs").setLevel(logging.CRITICAL)


def _turn_elsewhere() -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(io.StringIO())


def _close_streams() -> None:
    sys.__stderr__.close()  # type: ignore[union-attr]
    logging.shutdown()


ACTS: dict[str, Callable[[], Any]] = {
    "dictConfig": lambda: logging.config.dictConfig(AS_DJANGO_DOES),
    "basicConfig": lambda: logging.basicConfig(force=True, level=logging.CRITICAL),
    "disable": lambda: logging.disable(logging.CRITICAL),
    "in place": _drop_in_place,
    "replace": _replace,
    "remove": _remove_each,
    "silence": _silence_each,
    "disable loggers": _disable_ours,
    "level": lambda: logging.getLogger().setLevel(logging.CRITICAL),
    "filter": lambda: logging.getLogger().addFilter(lambda _: False),
    "turn elsewhere": _turn_elsewhere,
    "close": _close_streams,
    "logger class": lambda: logging.setLoggerClass(_Loud),
    "record factory": lambda: logging.setLogRecordFactory(lambda *a, **k: 1 / 0),
}

if act := os.environ.get("MEDDLING_IMPORT"):
    ACTS[act]()


@job("log.meddle")
async def meddle(run: Run) -> None:
    """Set logging anew as asked."""
    ACTS[run.params["how"]]()


@job("log.replaces")
async def replaces(run: Run) -> None:
    """Put streams of its own in the place of the process's."""
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    print("said to nobody")


@job("log.redirects")
def redirects(run: Run) -> str:
    """Catch what is printed, until the file that is named is there."""
    with contextlib.redirect_stdout(io.StringIO()) as caught:
        run.log.info("catching")
        while not os.path.exists(run.params["until"]):
            threading.Event().wait(0.05)
        print("caught")
    return caught.getvalue()


@job("log.says")
async def says(run: Run) -> None:
    """Say a line on each way there is."""
    run.log.info("by its own logger")
    logging.getLogger("log.library").info("by a library's logger")


@job("log.fails")
async def fails(run: Run) -> None:
    """Fail."""
    raise ZeroDivisionError("it was asked to")


def _prints(run: Run) -> None:
    print("it prints")
    print("a word", end=" ")
    print("and another")
    print("password=hunter2 is hidden")
    print("\r10 %\r20 %\r100 %", file=sys.stderr)
    print("x" * 1_000_000)
    sys.stdout.writelines(["no end of line"])


@job("log.prints_in_loop")
async def prints_in_loop(run: Run) -> None:
    """Print, in the loop."""
    _prints(run)
    await asyncio.to_thread(print, "from a thread of its own")


@job("log.prints_in_thread")
def prints_in_thread(run: Run) -> None:
    """Print, in a thread."""
    _prints(run)
    threading.Thread(target=print, args=("from nobody's thread",)).start()


@job("log.prints_in_process", executor="process")
def prints_in_process(run: Run) -> None:
    """Print, in a process."""
    _prints(run)


@job("log.meddle_in_process", executor="process")
def meddle_in_process(run: Run) -> None:
    """Set logging anew in a process, and then say a line."""
    ACTS[run.params["how"]]()
    run.log.info("by its own logger")


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [
        meddle,
        says,
        replaces,
        redirects,
        fails,
        prints_in_loop,
        prints_in_thread,
        prints_in_process,
        meddle_in_process,
    ]
