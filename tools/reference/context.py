"""All that a job is given: fields and methods of `RunContext`, as the code has them."""

import re
from typing import Any

from msgspec.structs import fields
from tools.reference.source import cell, said, signature, written_type

from sereno import RunContext

_KERNELS = ("begin_by", "stop", "reporter", "clock")
"""What a job does not need."""


def members() -> str:
    """Return a table of the fields, and a section for each method, by name."""
    methods = sorted(name for name in dir(RunContext) if _told(name))
    told = [_section(name, vars(RunContext)[name]) for name in methods]
    return "\n\n".join([_fields(), "## Methods", *told])


def names() -> set[str]:
    """Return all that the page must have."""
    return {f.name for f in fields(RunContext)} | {n for n in dir(RunContext) if _told(n)}


def _told(name: str) -> bool:
    return (
        not name.startswith("_") and name in vars(RunContext) and _is_made(vars(RunContext)[name])
    )


def _is_made(member: Any) -> bool:
    return callable(member) or isinstance(member, property)


def _section(name: str, member: Any) -> str:
    if isinstance(member, property):
        call = f"run.{name} -> {written_type(member.fget.__annotations__['return'])}"  # type: ignore[union-attr]
        return f"### {name}\n```text\n{call}\n```\n{said(member)}"
    call = signature(member, "run.")
    if "AbstractAsyncContextManager" in call:
        call = f"async with {call}"
    return f"### {name}\n```text\n{call}\n```\n{said(member)}"


def _fields() -> str:
    told = dict(re.findall(r"`(\w+)`: (.*?)(?= `\w+`: |$)", said(RunContext).replace("\n\n", " ")))
    rows = ["| field | type | what it is |", "|---|---|---|"]
    for field in fields(RunContext):
        what = told.get(field.name) or WORDS[field.name]
        if field.name in _KERNELS:
            what += " (the kernel's own)"
        kind = "P" if field.name == "params" else cell(written_type(field.type))
        rows.append(f"| `{field.name}` | `{kind}` | {cell(what.rstrip(' .'))} |")
    return "\n".join(rows)


WORDS = {
    "run_id": "the run's number, as `sereno show` takes it",
    "job": "the job's name",
    "attempt": "which attempt of the run it is, from 1 on",
    "log": "a logger whose lines are kept with the run",
    "reporter": "where its words go",
    "deadline": "the steady time (`time.monotonic`) at which its `timeout` is over",
    "clock": "the database's time, as `now()` returns it",
    "stop": "set once it has been asked to stop",
}
"""Of what the docstring takes for granted."""
