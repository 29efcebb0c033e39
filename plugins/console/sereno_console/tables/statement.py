"""Asks the console's own tables, by the names of its statements."""

from typing import Any

from sereno import Client, sql_blocks


def block(name: str) -> str:
    """Return the statement `name`."""
    return sql_blocks("sereno_console")[name]


async def rows(client: Client, name: str, *args: Any) -> list[Any]:
    """Return the rows of a statement."""
    async with client.database() as connection:
        return list(await connection.fetch(block(name), *args))


async def row(client: Client, name: str, *args: Any) -> Any:
    """Return the first row of a statement, None for none."""
    async with client.database() as connection:
        return await connection.fetchrow(block(name), *args)


async def done(client: Client, name: str, *args: Any) -> int:
    """Run a statement and return how many rows it is of."""
    async with client.database() as connection:
        said = str(await connection.execute(block(name), *args))
    return int(said.rpartition(" ")[2])
