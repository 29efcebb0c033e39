"""Every policy with what it takes, an example of each, and where it may be said."""

import inspect
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from msgspec.structs import fields
from tools.reference.source import cell

from sereno import Client, DeclarationError, Retry, every, schedule
from sereno.model.policies import POLICY_NAMES, RUNS_ON, Policies

SETTINGS = Path(__file__).parents[2] / "conf/sereno.toml"
_TYPES = {f.name: f.type for f in fields(Policies)}
_OF_RUN = set(inspect.signature(Client.enqueue).parameters)


def table() -> str:
    """Return a row for each policy, in their order."""
    rows = ["| policy | it takes | in code | in the settings | a schedule | one run |"]
    rows.append("|---|---|---|---|---|---|")
    for name in POLICY_NAMES:
        value = example(name)
        told = [
            f"`{name}`",
            takes(name),
            f"`{name}={_code(name, value)}`",
            f"`{name} = {_settings(value)}`",
            "yes" if for_a_schedule(name, value) else "no",
            "yes" if name in _OF_RUN else "no",
        ]
        rows.append("| " + " | ".join(cell(one) for one in told) + " |")
    return "\n".join(rows)


def example(name: str) -> Any:
    """Return the value that the file of settings shows."""
    jobs = SETTINGS.read_text().partition("\n# [jobs.")[2].partition("\n# [schedules.")[0]
    (line,) = re.findall(rf"^# ({name} = .*?)(?:\s+#.*)?$", jobs, re.MULTILINE)
    return tomllib.loads(line)[name]


def takes(name: str) -> str:
    """Return what it may be set to, in words."""
    if name == "concurrency":
        return "`key`, `limit`"
    if name == "runs_on":
        return ", ".join([*(f"`{one}`" for one in RUNS_ON), "names"])
    kinds = [kind for kind in _kinds(_TYPES[name]) if kind is not type(None)]
    words = {timedelta: "a duration", int: "a number", bool: "true, false", str: "a text"}
    words |= {Retry: "a number, or `retry(...)`"}
    (kind,) = kinds or [str]
    if get_origin(kind) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(kind))
    if get_origin(kind) is tuple:
        return "names"
    return words[kind]


def for_a_schedule(name: str, value: Any) -> bool:
    """Return whether a schedule may override it: it is asked."""
    try:
        schedule(every("1h"), **{name: value})
    except DeclarationError:
        return False
    return True


def _kinds(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) not in (None, Literal, tuple) else (kind,)


def _code(name: str, value: Any) -> str:
    if name == "retry":
        return "retry(3, delay='10s', factor=2.0)".replace("'", '"')
    return repr(value).replace("'", '"')


def _settings(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_settings(v)}" for k, v in value.items()) + " }"
    return repr(value).replace("'", '"')
