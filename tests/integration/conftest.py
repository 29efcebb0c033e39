import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from .node import Eye, looking


@pytest.fixture
async def eye(database: str) -> AsyncIterator[Eye]:
    async with looking(database) as found:
        yield found


@pytest.fixture(scope="session")
def sereno_template() -> Callable[[str], object]:
    """Return what gives each database of these tests an application's table."""

    def fill(database_url: str) -> None:
        async def make() -> None:
            connection = await asyncpg.connect(database_url)
            try:
                await connection.execute("CREATE TABLE orders (id integer PRIMARY KEY)")
            finally:
                await connection.close()

        asyncio.run(make())

    return fill
