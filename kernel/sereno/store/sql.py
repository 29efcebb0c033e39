"""Reads named blocks of SQL, the kernel's and those of plugins: Python holds no statement."""

import re
from collections.abc import Mapping
from functools import cache

from sereno.model.resource import resource_path

_BLOCK = re.compile(r"^-- name: (\w+)[^\n]*\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


@cache
def sql_blocks(package: str) -> Mapping[str, str]:
    """Return the blocks of ``queries/*.sql`` in `package`, each by its name.

    A block begins with the line ``-- name: call_count`` and ends before the next; the semicolon at
    its end is left out. Raises ValueError when two have one name.
    """
    found: dict[str, str] = {}
    for path in sorted(resource_path(package, "queries").iterdir(), key=lambda p: p.name):
        if path.name.endswith(".sql"):
            for name, text in _BLOCK.findall(path.read_text("utf-8")):
                if name in found:
                    raise ValueError(f"{path.name}: the block '{name}' is named twice")
                found[name] = text.strip().rstrip(";")
    return found


def blocks() -> Mapping[str, str]:
    """Return every block of the kernel by its name."""
    return sql_blocks(__package__)


def sql(name: str) -> str:
    """Return the kernel's block `name`."""
    return blocks()[name]
