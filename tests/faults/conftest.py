from collections.abc import Iterator

import pytest

from ..servers.connections import let_go


@pytest.fixture(autouse=True)
def _questions_end() -> Iterator[None]:
    yield
    let_go()
