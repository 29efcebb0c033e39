"""Reads the named SQL statements of this plugin."""

from functools import cache
from importlib.resources import files


def filled(name: str, **parts: str) -> str:
    """Return the statement in ``sql/<name>.sql`` with `parts`, as quoted names, in its braces."""
    statement = query(name)
    for key, value in parts.items():
        statement = statement.replace(f"{{{key}}}", value)
    return statement


@cache
def query(name: str) -> str:
    """Return the statement in ``sql/<name>.sql``."""
    return (files("sereno_cleanup") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
