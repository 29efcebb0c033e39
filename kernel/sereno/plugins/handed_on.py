"""Checks what jobs take from those before them (``params_from=``): that it is there, as far as
types tell, that it fits, that it is kept, and that it is no secret."""

from collections.abc import Mapping
from typing import Any, get_type_hints

import msgspec

from sereno.model.hand_on import ParamSource
from sereno.model.job import Job
from sereno.model.params_rule import params_rule
from sereno.model.suggestion import suggestion

Rules = Mapping[str, Mapping[str, Any]]


def handed_on_faults(jobs: Mapping[str, Job]) -> dict[str, str]:
    """Return a sentence for each job that takes what it cannot have."""
    faults = {}
    for name, job in jobs.items():
        fault = _unfit(job) or next(filter(None, (_of(job, p, s, jobs) for p, s in _all(job))), "")
        if fault:
            faults[name] = f"job '{name}': params_from: {fault}"
    return faults


def _all(job: Job) -> list[tuple[str, ParamSource]]:
    return list(job.sources.items()) if job.params_from else []


def _unfit(job: Job) -> str:
    """Say what of the job's own params does not fit what it takes."""
    if not job.params_from or job.params is None:
        return ""
    rules: Rules = job.params_rule() or {}
    taken = dict(job.params_from)
    for name in taken:
        if name not in rules:
            hint = suggestion(name, rules, f"; it takes {', '.join(rules)}")
            return f"unknown param '{name}'{hint}"
    for name, rule in rules.items():
        if rule["required"] and name not in taken:
            return (
                f"param '{name}' is required, and nothing says where it comes from; name it, or "
                "give it a default"
            )
    return ""


def _of(job: Job, name: str, source: ParamSource, jobs: Mapping[str, Job]) -> str:
    upstream = jobs.get(source.job)
    if upstream is None:  # another fault, which is told
        return ""
    if source.part == "params":
        return _of_params(job, name, source, upstream)
    if not upstream.policies.keep_result:
        return (
            f"'{name}' comes from {source}, which has keep_result=False: its result is gone when a "
            "run comes after it; keep it, or hand on what is in its params"
        )
    return _typed(job, name, source, _of_result(upstream))


def _of_params(job: Job, name: str, source: ParamSource, upstream: Job) -> str:
    if source.keys[0] in upstream.secrets:
        return (
            f"'{name}' comes from {source}, which is secret and ends with its run; read it from "
            "where that has it"
        )
    return _typed(job, name, source, upstream.params_rule())


def _typed(job: Job, name: str, source: ParamSource, found: Rules | None) -> str:
    """Say where a source does not exist, or has another JSON type than the param."""
    if found is None or not source.keys:
        return ""
    key = source.keys[0]
    if key not in found:
        hint = suggestion(key, found, f"; it has {', '.join(found) or 'none'}")
        return f"'{name}' comes from {source}, which has no '{key}'{hint}"
    given = found[key]["type"]
    if len(source.keys) > 1:
        if given in (None, "object", "array"):
            return ""
        return f"'{name}' comes from {source}, and '{key}' is a JSON {given}, which holds nothing"
    wanted = (job.params_rule() or {}).get(name, {}).get("type")
    if None in (given, wanted) or given == wanted:
        return ""
    return f"'{name}' comes from {source}, which is a JSON {given}, and it must be a {wanted}"


def _of_result(job: Job) -> Rules | None:
    """Return what the job's function says that its result holds, None where it does not say."""
    try:
        kind = get_type_hints(job.function).get("return")
        if kind is not None and (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            return params_rule(kind)
    except Exception:  # a type that stands further down, or nowhere
        return None
    return None
