"""Every key of the settings: its variable, what it takes, its default, what it is for."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from tools.reference.source import cell, written_type

from sereno import format_duration
from sereno.settings import Settings
from sereno.settings.place import Key
from sereno.settings.values import leaves

FILE = Path(__file__).parents[2] / "conf/sereno.toml"
_LISTS = ("plugins", "jobs", "schedules", "calendars", "blackouts")
"""Tables of people's own names, which sections of the page tell of."""


def table() -> str:
    """Return a table of keys for each table of the file."""
    parts = []
    for name in dict.fromkeys(key[0] if len(key) > 1 else "" for key in keys()):
        rows = ["| key | variable | it takes | default | |", "|---|---|---|---|---|"]
        rows += [_row(key) for key in keys() if (key[0] if len(key) > 1 else "") == name]
        title = f"### `[{name}]`" if name else "### At the head of the file"
        parts.append(f"{title}\n" + "\n".join(rows))
    return "\n\n".join(parts)


def keys() -> list[Key]:
    """Return all keys but the tables of people's own names."""
    return [key for key in leaves() if key[0] not in _LISTS]


def variable(key: Key) -> str:
    """Return the environment's name of a key."""
    return "SERENO_" + "__".join(str(part).upper() for part in key)


def _row(key: Key) -> str:
    kind, default = _declared(key)
    told = [f"`{key[-1]}`", f"`{variable(key)}`", _takes(kind), _default(default), remark(key)]
    return "| " + " | ".join(cell(one) for one in told) + " |"


def _declared(key: Key) -> tuple[Any, Any]:
    holder: Any = Settings
    for part in key[:-1]:
        holder = get_type_hints(holder)[str(part)]
    kind = get_type_hints(holder, include_extras=True)[str(key[-1])]
    return kind, getattr(holder(), str(key[-1]))


def _takes(kind: Any) -> str:
    for meta in [kind, *get_args(kind)]:
        for one in getattr(meta, "__metadata__", ()):
            told = _bounds(one)
            if told:
                return told
    words = {"timedelta": "a duration", "int": "a number", "str": "a text", "bool": "true, false"}
    plain = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if get_origin(plain) is not None and "Literal" in str(get_origin(plain)):
        return ", ".join(f"`{one}`" for one in get_args(plain))
    text = written_type(plain).removesuffix(" | None")
    text = {"tuple[str, ...]": "texts", "Path": "a path"}.get(text, text)
    return words.get(text, text if "[" not in text else "a table of levels")


def _bounds(meta: Any) -> str:
    if getattr(meta, "description", None):
        return str(meta.description)
    extra = getattr(meta, "extra", None) or {}
    if "min" in extra:
        return f"a duration, {format_duration(extra['min'])} to {format_duration(extra['max'])}"
    if getattr(meta, "ge", None) is not None:
        return f"a number, {meta.ge} to {meta.le}"
    return ""


def _default(value: Any) -> str:
    if value is None or value in ({}, "") or value is msgspec.NODEFAULT:
        return "none"
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`".replace("'", '"')


def remark(key: Key) -> str:
    """Return what the file says above a key (of one without a remark of its own, at its line)."""
    section, above, before = "", [], ""
    for line in FILE.read_text().splitlines():
        head = re.match(r"\[(\w+)\]$", line)
        set_to = re.match(r"# (\w+) = ([^#]*?)(?:\s+#\s*(.*))?$", line)
        if head:
            section, above, before = head[1], [], ""
        elif set_to and _is_toml(f"{set_to[1]} = {set_to[2]}"):
            if (section, set_to[1]) == (str(key[0]) if len(key) > 1 else "", key[-1]):
                return set_to[3] or " ".join(above) or before
            before, above = " ".join(above) or before, []
        elif line.startswith("# "):
            above.append(line[2:])
        else:
            above, before = [], ""
    raise ValueError(f"{FILE.name}: it says nothing of {key}; add a line for it")


def _is_toml(line: str) -> bool:
    try:
        tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return False
    return True
