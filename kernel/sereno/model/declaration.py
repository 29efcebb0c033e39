"""What `@job(...)` is put on and given, checked before it is a job: what would fail at the first
run, or with a sentence of Python's, fails here with one of ours."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sereno.model.errors import DeclarationError


def check_function(function: Callable[..., Any], subject: str) -> None:
    """Raise DeclarationError unless `function` can be called with a run, and then works on it."""
    name = spoken(function)
    if isinstance(function, msgspec.Struct):
        raise DeclarationError(f"{subject}: it is put on another @job(...); a function is one job")
    if inspect.isclass(function) or not callable(function):
        raise DeclarationError(f"{subject}: {name} is no function; put @job(...) on a function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{subject}: {name} is a generator, which would do nothing; drop the yield, and tell "
            "how far it is by run.progress"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # as of some functions in C
        return
    try:
        signature.bind(None)
    except TypeError:
        raise DeclarationError(
            f"{subject}: {name}{_without_types(signature)} cannot be called with the run alone; "
            f"write {name}(run)"
        ) from None


def check_params(params: object, subject: str) -> None:
    """Raise DeclarationError unless `params` is None or a Struct that JSON can fill."""
    if params is None:
        return
    if not (inspect.isclass(params) and issubclass(params, msgspec.Struct)):
        kind = "a dataclass" if dataclasses.is_dataclass(params) else "no msgspec.Struct"
        if isinstance(params, msgspec.Struct):
            kind = "a value; give its class"
        raise DeclarationError(
            f"{subject}: params is {spoken(params)}, which is {kind}; write "
            "class Params(msgspec.Struct), and params=Params"
        )
    try:
        msgspec.json.schema(params)
    except TypeError as error:
        raise DeclarationError(
            f"{subject}: params {params.__name__} has a field that JSON cannot fill: {error}"
        ) from error
    except NameError:  # a type that stands further down in its module
        return


def checked_upstream(after: object, subject: str) -> tuple[str, ...]:
    """Return the names of the jobs that a job follows."""
    names = [after] if isinstance(after, str) else after
    if isinstance(names, Iterable) and not isinstance(names, msgspec.Struct | bytes):
        found = tuple(dict.fromkeys(names))
        if all(isinstance(name, str) for name in found):
            return found
    given = getattr(after, "name", None)
    write = f"'{given}'" if isinstance(given, str) else "'etl.sync' or ['a.b', 'c.d']"
    raise DeclarationError(
        f"{subject}: after is {spoken(after)}, it must be names of jobs; write after={write}"
    )


def spoken(value: object) -> str:
    """Return what a person calls `value`: the name of a function or a class, else its text."""
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else f"{value!r:.80}"


def _without_types(signature: inspect.Signature) -> str:
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))
