"""Tells where a run's function is at this moment: its stack, as a traceback shows one, and what its
process takes."""

import asyncio
import sys
import threading
import traceback
from types import FrameType
from typing import Any

from sereno.engine.attempt import Attempt
from sereno.engine.process_facts import process_line

MOST = 20_000
"""Characters of a stack that are told, its newest."""

_DEEPEST = 200


def stack_of(attempt: Attempt) -> str:
    """Return the stack of an attempt, the newest call last, or a sentence that says why not; and
    in a last line what its process takes."""
    pid = attempt.executor.process_of(attempt.context.token)
    return _stack(attempt) + ("" if pid is None else process_line(pid))


def _stack(attempt: Attempt) -> str:
    match attempt.policies.executor:
        case "process":
            return "it works in a process of its own, whose stack its node does not see\n"
        case "thread":
            frames = _of_thread(f"{attempt.job.name} run {attempt.claim.run_id}")
        case _:
            frames = [] if attempt.task is None else _of_task(attempt.task)
    if not frames:
        return "it has not begun, or is over\n"
    lines = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames).format()
    return "".join(lines)[-MOST:]


def _of_thread(name: str) -> list[FrameType]:
    current = sys._current_frames()
    for thread in threading.enumerate():
        if thread.name == name and thread.ident in current:
            found: list[FrameType] = []
            frame: FrameType | None = current[thread.ident]
            while frame is not None and len(found) < _DEEPEST:
                found.append(frame)
                frame = frame.f_back
            return found[::-1]
    return []


def _of_task(task: "asyncio.Task[Any]") -> list[FrameType]:
    """Walk down what a task awaits: its own `get_stack` ends at the outermost coroutine."""
    found: list[FrameType] = []
    awaited: Any = task.get_coro()
    while awaited is not None and len(found) < _DEEPEST:
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            found.append(frame)
        awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return found


def _first(awaited: Any, *names: str) -> Any:
    return next((v for n in names if (v := getattr(awaited, n, None)) is not None), None)
