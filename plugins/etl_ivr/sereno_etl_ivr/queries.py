"""Reads the SQL statements of this plugin."""

from functools import cache
from importlib.resources import files


@cache
def query(name: str) -> str:
    """Return the statement in ``sql/<name>.sql``, with its ``{names}`` still to be filled."""
    text = (files("sereno_etl_ivr") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
