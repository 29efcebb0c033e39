"""Finds this plugin's SQL statements by their names."""

from sereno import sql_blocks


def query(name: str) -> str:
    """Return the statement `name`."""
    return sql_blocks("sereno_reports")[name]
