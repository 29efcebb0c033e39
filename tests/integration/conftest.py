from collections.abc import AsyncIterator

import pytest

from .node import Eye, looking


@pytest.fixture
async def eye(database: str) -> AsyncIterator[Eye]:
    async with looking(database) as found:
        yield found
