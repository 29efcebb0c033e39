"""``@job(...)`` as those who declare jobs see it: typed by the run that a function is given.

A job is a value of the model, which knows no runs; what ties params to `RunContext` is here.
"""

import inspect
import typing
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Unpack, get_args, get_origin, overload

import msgspec

from sereno.engine.context import RunContext
from sereno.model import job as model
from sereno.model.declaration import spoken
from sereno.model.errors import DeclarationError
from sereno.model.job import Job
from sereno.model.policy_types import JobPolicies
from sereno.model.schedule import Declared
from sereno.model.type_variables import S

_Untyped = dict[str, Any]


@overload
def job(
    name: str,
    *,
    params: type[S],
    schedule: Declared[S] | None = None,
    after: str | Iterable[str] = (),
    description: str = "",
    title: str = "",
    owner: str = "",
    runbook: str = "",
    tags: Iterable[str] = (),
    **policies: Unpack[JobPolicies],
) -> Callable[[Callable[[RunContext[S]], Any]], Job[S]]: ...


@overload
def job(
    name: str,
    *,
    params: None = None,
    schedule: Declared[_Untyped] | None = None,
    after: str | Iterable[str] = (),
    description: str = "",
    title: str = "",
    owner: str = "",
    runbook: str = "",
    tags: Iterable[str] = (),
    **policies: Unpack[JobPolicies],
) -> Callable[[Callable[[RunContext[_Untyped]], Any]], Job[_Untyped]]: ...


@wraps(model.job)
def job(*given: Any, **declared: Any) -> Callable[[Callable[..., Any]], Job[Any]]:
    """Declare the decorated function as a job, whose run is a RunContext of these params."""
    declare = model.job(*given, **declared)

    def declared_function(function: Callable[..., Any]) -> Job[Any]:
        found = declare(function)
        _check_run(found)
        return found

    return declared_function


def _check_run(job: Job[Any]) -> None:
    """Raise DeclarationError where the function says that its run has other params than the job."""
    annotated = _of_run(job.function)
    if get_origin(annotated) is not RunContext:
        return
    (kind,) = get_args(annotated)
    if job.params is None and inspect.isclass(kind) and issubclass(kind, msgspec.Struct):
        raise DeclarationError(
            f"job '{job.name}': {spoken(job.function)} takes RunContext[{spoken(kind)}], and the "
            f"job declares no params; write params={spoken(kind)}"
        )
    if job.params is not None and kind not in (Any, job.params) and not _joins(kind, job.params):
        right = job.params.__name__
        raise DeclarationError(
            f"job '{job.name}': {spoken(job.function)} takes RunContext[{spoken(kind)}], and "
            f"params is {right}; write RunContext[{right}]"
        )


def _joins(kind: Any, params: type[Any]) -> bool:
    """Return whether a run of `params` is one of `kind`, as far as can be told: of a type variable
    or a union nobody can."""
    return not inspect.isclass(kind) or (get_origin(kind) is None and issubclass(params, kind))


def _of_run(function: Callable[..., Any]) -> Any:
    """Return the annotation of the run, None where there is none that is known by now."""
    try:
        first = next(iter(inspect.signature(function).parameters), None)
        return typing.get_type_hints(function).get(first or "")
    except Exception:  # whatever stands in annotations may be evaluated
        return None
