"""The fields of every event that a hook is told."""

import inspect

import msgspec
from msgspec.structs import fields
from tools.reference.source import cell, said, written_type

from sereno.model import events


def tables() -> str:
    """Return each event with its fields."""
    classes = [c for c in vars(events).values() if inspect.isclass(c)]
    return "\n\n".join(_table(c) for c in classes if c.__module__ == events.__name__)


def _table(event: type[msgspec.Struct]) -> str:
    rows = ["| field | type | default |", "|---|---|---|"]
    for field in fields(event):
        default = "" if field.required else f"`{field.default!r}`"
        rows.append(f"| `{field.name}` | `{cell(written_type(field.type))}` | {default} |")
    return f"**`{event.__name__}`**. {said(event)}\n\n" + "\n".join(rows)
