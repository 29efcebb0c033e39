"""Which executor a job may ask for, and what it takes of the job's function."""

import inspect
from collections.abc import Callable
from typing import Any

from sereno.model.declaration import spoken
from sereno.model.errors import DeclarationError
from sereno.model.policies import EXECUTORS, known_executors
from sereno.model.suggestion import nearest, suggested, suggestion


def check_executor(function: Callable[..., Any], executor: Any, subject: str) -> None:
    """Refuse what can be no executor, when plugins' are not known yet: `Job.check` asks again."""
    if executor not in EXECUTORS and (near := nearest(executor, EXECUTORS)):
        raise DeclarationError(f"{subject}: unknown executor '{executor}'{suggested(near)}")
    check_call(function, executor, subject)


def check_known(executor: str, subject: str) -> None:
    """Refuse what neither the kernel nor a plugin that was collected brings."""
    known = known_executors()
    if executor not in known:
        hint = suggestion(executor, known)
        raise DeclarationError(f"{subject}: unknown executor '{executor}'{hint}")


def check_call(function: Callable[..., Any], executor: Any, subject: str) -> None:
    """Refuse a function that an executor of the kernel could not call."""
    if executor in ("async", "host") and not inspect.iscoroutinefunction(function):
        raise DeclarationError(
            f"{subject}: executor '{executor}' wants an async def, {spoken(function)} is a "
            "plain function; choose 'thread' or 'process'"
        )
    if executor == "process":
        check_found_by_name(function, "process", subject)


def check_found_by_name(function: Callable[..., Any], executor: str, subject: str) -> None:
    """Raise DeclarationError where another process could not find a function by its name."""
    name = getattr(function, "__qualname__", repr(function))
    if "<" in name:
        raise DeclarationError(
            f"{subject}: executor '{executor}' finds its function by name, and "
            f"{name} is made inside another; move it to the module's top level"
        )
