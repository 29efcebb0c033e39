"""Makes a child that a job forks a process of its own, as it must not act as a copy of this node.

Without this, a signal to the child would reach the node (both have the pipe that wakes the loop
up), the child would keep the leader's session open after the node's end, and one that came back
into the loop would go on as a second node with the same name.
"""

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import ClassVar, NoReturn

from sereno.store.own_sockets import detach

NODE_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What tells a node to stop."""


TIMER_SIGNALS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF)
"""What a timer sends that a job has set (``signal.alarm``, ``setitimer``): by default it ends the
process, without a word."""


class _Node:
    """The nodes in this process, once there are some. `signals`: one has the process for itself,
    and hears of its end by signals. `loops`: by thread. `forked`: this process is a child of it."""

    hooked = False
    signals = False
    timers: Callable[[int, FrameType | None], object] | None = None
    loops: ClassVar[dict[int, asyncio.AbstractEventLoop]] = {}
    forked = False


class _Mask(threading.local):
    before: Iterable[int] | None = None


_mask = _Mask()


def own_forks(loop: asyncio.AbstractEventLoop | None = None, *, signals: bool = True) -> None:
    """Have each child that this process forks from now on be no node, nor work for its run.

    `loop`: this thread's, if it has one. `signals`: those that tell a node to stop are this node's;
    else they are its application's, in its children too.
    """
    _Node.signals = _Node.signals or signals
    _Node.forked = False  # a child of an application may well become a node of its own
    if loop is not None:
        _Node.loops[threading.get_ident()] = loop
    if not _Node.hooked:
        _Node.hooked = True
        os.register_at_fork(
            before=_hold_signals, after_in_parent=_let_signals_come, after_in_child=_be_no_node
        )


def leave_forks() -> None:
    """Take back that this thread has a loop: its node is over."""
    _Node.loops.pop(threading.get_ident(), None)


def own_timers(handler: Callable[[int, FrameType | None], object]) -> None:
    """Have `handler` called, in this process alone, for timers that nobody else handles."""
    _Node.timers = handler
    for number in TIMER_SIGNALS:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, handler)


def end_if_forked(error: BaseException | None) -> None:
    """End this process where it is a child that was forked by a job's function, which is over."""
    if _Node.forked:
        _end(error)


def _hold_signals() -> None:
    if not _Node.signals:
        return
    # A child may be told to end before it has run a line: it is to hear of it as itself.
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, NODE_SIGNALS)


def _let_signals_come() -> None:
    if _mask.before is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)
        _mask.before = None


def _be_no_node() -> None:
    _Node.forked = True
    if _Node.signals:
        _have_signals_back()
    detach()
    loop = _Node.loops.pop(threading.get_ident(), None)
    _Node.loops.clear()  # those of other threads, which this process has not
    if loop is not None:
        loop.call_soon(_end, None)  # before it waits for anything in the loop's copy
    _let_signals_come()


def _have_signals_back() -> None:
    signal.set_wakeup_fd(-1)
    for number in NODE_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in TIMER_SIGNALS:
        if _Node.timers is not None and signal.getsignal(number) == _Node.timers:
            signal.signal(number, signal.SIG_DFL)


def _end(error: BaseException | None) -> NoReturn:
    code: object = 0
    if isinstance(error, SystemExit):
        code = error.code
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
