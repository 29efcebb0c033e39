"""Reads the named SQL statements of this plugin."""

from functools import cache
from importlib.resources import files


@cache
def query(name: str) -> str:
    """Return the statement in ``sql/<name>.sql``."""
    return (files("sereno_reports") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
