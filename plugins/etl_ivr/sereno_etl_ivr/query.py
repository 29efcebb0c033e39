"""Finds this plugin's SQL statements by their names."""

from functools import cache

from sereno import sql_blocks


@cache
def query(name: str) -> str:
    """Return the statement `name` without its comments, its ``{names}`` still to be filled."""
    text = sql_blocks("sereno_etl_ivr")[name]
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
