"""The SQL of this plugin: named blocks in ``queries/*.sql``, a file for each room."""

from sereno import sql_blocks


def query(name: str) -> str:
    """Return the block `name`."""
    return sql_blocks("sereno_cleanup")[name]


def filled(name: str, **parts: str) -> str:
    """Return the block `name` with `parts`, as quoted names, in its braces."""
    statement = query(name)
    for key, value in parts.items():
        statement = statement.replace(f"{{{key}}}", value)
    return statement
