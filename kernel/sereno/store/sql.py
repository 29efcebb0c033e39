"""Reads the named blocks of ``queries/*.sql``: all SQL of the kernel lives there."""

import re
from functools import cache
from importlib.resources import files

_BLOCK = re.compile(r"^-- name: (\w+)[^\n]*\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


@cache
def blocks() -> dict[str, str]:
    """Return every block by its name; names are unique over all files."""
    found: dict[str, str] = {}
    for path in sorted(files(__package__).joinpath("queries").iterdir(), key=lambda p: p.name):
        if path.name.endswith(".sql"):
            for name, text in _BLOCK.findall(path.read_text("utf-8")):
                if name in found:
                    raise ValueError(f"{path.name}: the block '{name}' is named twice")
                found[name] = text.strip().rstrip(";")
    return found


def sql(name: str) -> str:
    """Return the block `name`."""
    return blocks()[name]
