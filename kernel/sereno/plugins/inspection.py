"""Finds what is wrong with a plugin's hooks before pluggy, which keeps silent about most of it."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from sereno import hookspecs
from sereno.model.errors import PluginError
from sereno.model.suggestion import suggestion

PREFIX = "sereno_"
_MARK = "sereno_impl"

SPECS: dict[str, Callable[..., Any]] = {
    name: function
    for name, function in vars(hookspecs).items()
    if name.startswith(PREFIX) and inspect.isfunction(function)
}
"""Every hook by name."""


def check_hooks(plugin: Any) -> None:
    """Raise PluginError, with a sentence for each fault, when a hook of `plugin` would not work."""
    found = list(_candidates(plugin))
    faults = [fault for name, function in found for fault in _faults(name, function)]
    if not found:
        faults = ["it has no hook; mark its sereno_* functions with @hookimpl"]
    if faults:
        raise PluginError("; ".join(faults))


def _candidates(plugin: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield what is named like a hook or marked as one; a module that is so named is neither."""
    for name in dir(plugin):
        member = inspect.getattr_static(plugin, name, None)
        if isinstance(member, staticmethod | classmethod) or inspect.isroutine(member):
            function = getattr(plugin, name)
            if _is_marked(function):
                yield getattr(function, _MARK).get("specname") or name, function
            elif name.startswith(PREFIX):
                yield name, function


def _is_marked(function: Any) -> bool:
    return isinstance(getattr(function, _MARK, None), dict)


def _faults(name: str, function: Callable[..., Any]) -> Iterator[str]:
    spec = SPECS.get(name)
    if spec is None:
        hint = suggestion(name, SPECS)
        yield f"unknown hook '{name}'{hint}"
        return
    if not _is_marked(function):
        yield f"hook '{name}' lacks the mark @hookimpl, so it would never be called"
        return
    options = getattr(function, _MARK)
    if options.get("wrapper") or options.get("hookwrapper"):
        yield f"hook '{name}' is a wrapper; sereno's hooks are plain functions"
    yield from _signature_faults(name, function, spec)
    yield from _colour_faults(name, function)


def _signature_faults(
    name: str, function: Callable[..., Any], spec: Callable[..., Any]
) -> Iterator[str]:
    offered = list(inspect.signature(spec).parameters)
    wanted = list(inspect.signature(function).parameters)
    for argument in wanted:
        if argument not in offered:
            takes = f"it may take ({', '.join(offered)})" if offered else "it takes no argument"
            yield f"hook '{name}' asks for '{argument}'; {takes}"


def _colour_faults(name: str, function: Callable[..., Any]) -> Iterator[str]:
    if name.startswith("sereno_on_"):
        if not inspect.iscoroutinefunction(function):
            yield f"hook '{name}' is a plain function; it must be an async def"
    elif inspect.isasyncgenfunction(function):
        yield f"hook '{name}' is an async generator; decorate it with @asynccontextmanager"
    elif inspect.iscoroutinefunction(function):
        yield f"hook '{name}' is an async def; it must be a plain function"
