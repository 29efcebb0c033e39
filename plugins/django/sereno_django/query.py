"""Reads the plugin's named statements."""

from functools import cache

from sereno import sql_blocks


@cache
def query(name: str) -> str:
    """Return the statement `name` of ``queries/*.sql``."""
    return sql_blocks("sereno_django")[name]
