"""Every method of the client, and every value that it returns."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import fields
from tools.reference.source import cell, said, signature, written_type

import sereno
from sereno import Client


def methods() -> str:
    """Return the methods by the module that has them, in its order."""
    parts = []
    for room in Client.__mro__[:-1]:
        own = [name for name in vars(room) if is_told(name, vars(room)[name])]
        if not own:
            continue
        parts.append(f"### {_title(room)}")
        parts += [_section(name, room) for name in own]
    return "\n\n".join(parts)


def values() -> str:
    """Return the fields of each value that `import sereno` offers of the client."""
    return "\n\n".join(_table(name, getattr(sereno, name)) for name in value_names())


def value_names() -> list[str]:
    """Return the names of Structs that the client returns or takes."""
    offered = sereno._OF_CLIENT
    return [n for n in offered if n not in ("Client", "SyncClient")]


def is_told(name: str, member: Any) -> bool:
    """Return whether it is a method for people."""
    if name.startswith("_"):
        return False
    return inspect.isfunction(member) or isinstance(member, classmethod | staticmethod)


def _title(room: type) -> str:
    if room is Client:
        return "Opening and the database"
    return "Of" + re.sub(r"([A-Z])", r" \1", room.__name__.removesuffix("Verbs")).lower()


def _section(name: str, room: type) -> str:
    member = vars(room)[name]
    function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
    prefix = "Client." if function is not member else "client."
    call = signature(function, prefix)
    if inspect.isasyncgenfunction(inspect.unwrap(function)):
        word = "async with" if hasattr(function, "__wrapped__") else "async for ... in"
        call = f"{word} {call.removeprefix('await ')}"
    return f"#### {name}\n```text\n{call}\n```\n{said(function)}"


def _table(name: str, value: Any) -> str:
    rows = ["| field | type |", "|---|---|"]
    rows += [f"| `{field}` | `{cell(kind)}` |" for field, kind in fields_of(value)]
    more = [n for n, m in vars(value).items() if isinstance(m, property) and not n.startswith("_")]
    rows += [f"| `{n}` | {cell(said(vars(value)[n]))} |" for n in more]
    return f"### {name}\n{said(value)}\n\n" + "\n".join(rows)


def fields_of(value: Any) -> Iterator[tuple[str, str]]:
    """Give the name and the type of each field."""
    if issubclass(value, msgspec.Struct):
        for field in fields(value):
            yield field.name, written_type(field.type)
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield one.name, written_type(one.type)
    else:
        for name, kind in value.__annotations__.items():
            yield name, written_type(kind)
