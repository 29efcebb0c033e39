"""Checks the executors that a plugin brings: each is one, and has a name that nobody else has."""

from collections.abc import Mapping
from typing import Any

from sereno.model.errors import PluginError
from sereno.model.executor import Executor, check_executor_name
from sereno.model.policies import EXECUTORS

_MOST = 100


def checked_executors(answer: Any, taken: Mapping[str, Executor]) -> dict[str, Executor]:
    """Return what a plugin brings by name; raise PluginError, DeclarationError with what is wrong
    with it."""
    if not isinstance(answer, Mapping):
        raise PluginError(
            f"sereno_register_executors returned {answer!r:.200}, no mapping of names to executors"
        )
    if len(answer) > _MOST:
        raise PluginError(f"it brings {len(answer)} executors, {_MOST} are the most")
    found: dict[str, Executor] = {}
    for key, executor in answer.items():
        name = check_executor_name(key)
        if name in EXECUTORS:
            raise PluginError(f"the executor '{name}' is the kernel's own; choose another name")
        if name in taken:
            raise PluginError(f"the name '{name}' of an executor is another plugin's; rename it")
        if not isinstance(executor, Executor):
            raise PluginError(
                f"the executor '{name}' is {executor!r:.100}; derive it from sereno.Executor"
            )
        capacity: object = executor.capacity
        if capacity is not None and not (type(capacity) is int and 0 <= capacity <= 100_000):
            raise PluginError(
                f"the executor '{name}': its capacity is {capacity!r:.50}, it must be None or a "
                "whole number from 0 to 100000"
            )
        found[name] = executor
    return found
