"""What the page of chains shows works as it says."""

import re
from pathlib import Path
from typing import Any

import pytest

from sereno.testing import Kernel

PAGE = (Path(__file__).parents[2] / "docs/chains.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """Return what the page's examples define, as one module."""
    found: dict[str, Any] = {}
    exec(compile("\n".join(EXAMPLES), "docs/chains.md", "exec"), found)
    return found


async def test_the_merge_is_given_what_the_sync_has_found(
    sereno_database: str, page: dict[str, Any]
) -> None:
    async with Kernel(page["sync"], page["merge"], database=sereno_database) as kernel:
        await kernel.client.enqueue("telemetry.sync", {"site": "vigo"})
        ended = await kernel.drain()
        assert (await kernel.client.run(ended[-1].run_id)).result == "vigo after 73000"


async def test_the_pages_own_tests_pass(sereno_database: str, page: dict[str, Any]) -> None:
    tests = [name for name in page if name.startswith("test_")]
    assert tests
    for name in tests:
        await page[name](sereno_database)
