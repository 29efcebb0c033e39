"""Decides which names of tables from the settings may stand in a statement."""

import re

_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")


def quoted(name: str) -> str:
    """Return `name` (``table`` or ``schema.table``) as quoted identifiers; raise ValueError."""
    parts = name.split(".")
    if len(parts) > 2 or not all(_PART.fullmatch(part) for part in parts):
        raise ValueError(f"calls_table '{name}': it must be a name such as ivr.calls")
    return ".".join(f'"{part}"' for part in parts)
