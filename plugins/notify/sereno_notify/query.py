"""Finds this plugin's SQL by name."""

from sereno import sql_blocks


def query(name: str) -> str:
    """Return the block `name` of ``queries/*.sql``."""
    return sql_blocks("sereno_notify")[name]
