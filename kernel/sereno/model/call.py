"""Turns a call that a function cannot take into a sentence."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sereno.model.errors import DeclarationError
from sereno.model.suggestion import suggestion

P = ParamSpec("P")
T = TypeVar("T")


def explained(function: Callable[P, T]) -> Callable[P, T]:
    """Let `function` raise DeclarationError where its arguments do not fit, with what was meant."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError:
            if fault := misfit(function, args, kwargs):
                raise DeclarationError(fault) from None
            raise

    return call


def misfit(
    function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> str | None:
    """Return a sentence on why `function` cannot be called so, None where it can."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        reason = str(error)
    else:
        return None
    found = signature.parameters
    name = function.__name__
    known = [n for n, p in found.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    placed = [n for n, p in found.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    unknown = [key for key in kwargs if key not in known]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in found.values()):
        hint = suggestion(unknown[0], known, f"; it takes {', '.join(known)}")
        return f"{name}: unknown argument '{unknown[0]}'{hint}"
    if len(args) > len(placed) and not any(p.kind is p.VAR_POSITIONAL for p in found.values()):
        named = ", ".join(f"{key}=..." for key in known[len(placed) :][:2])
        return (
            f"{name}: it takes {', '.join(placed)} by position, and {args[len(placed)]!r:.60} is "
            f"one more{f'; name the others, as in {named}' if named else ''}"
        )
    return f"{name}: {reason}"
