"""`sereno.testing` needs pytest besides, and nothing else: tried from the wheel."""

import os
import subprocess
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .wheel import installed_wheel

pytestmark = pytest.mark.timeout(240)

TESTS = """
import asyncio

import pytest
import uvloop

from sereno import RunContext, every, job
from sereno.testing import Kernel


@job("shop.sync", schedule=every("1h"))
async def sync(run: RunContext) -> None: ...


async def day(database_url):
    async with Kernel(sync, database=database_url) as kernel:
        assert len(await kernel.advance("1d")) == 24
        await kernel.client.enqueue("shop.sync")
        assert [one.state for one in await kernel.drain()] == ["succeeded"]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_day_passes(sereno_database, run):
    run(day(sereno_database))
"""


def needed(requirement: str, found: set[str]) -> set[str]:
    """Return what an installation of `requirement` brings, by names of distributions."""
    wanted = Requirement(requirement)
    if wanted.name in found and not wanted.extras:
        return found
    found.add(wanted.name)
    for text in distribution(wanted.name).requires or []:
        other = Requirement(text)
        extras = wanted.extras or {""}
        if other.marker is None or any(other.marker.evaluate({"extra": e}) for e in extras):
            needed(f"{other.name}[{','.join(other.extras)}]" if other.extras else other.name, found)
    return found


def link(name: str, site: Path) -> None:
    """Put an installed distribution into another environment."""
    for file in distribution(name).files or []:
        top = file.parts[0]
        if top not in ("..", "__pycache__") and not (site / top).exists():
            (site / top).symlink_to(distribution(name).locate_file(top))


def test_from_the_wheel_a_kernel_runs_in_a_test_with_pytest_alone(tmp_path: Path) -> None:
    site = installed_wheel(tmp_path)
    names = needed("pytest", needed("sereno[embedded]", set()))
    assert not {"pytest-asyncio", "psycopg"} & names
    for name in names - {"sereno"}:
        link(name, site)
    (tmp_path / "test_shop.py").write_text(TESTS)
    python = tmp_path / "env/bin/python"
    found = subprocess.run(
        [python, "-m", "pytest", "-q", "-W", "error", "test_shop.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SERENO_"))},
    )  # fmt: skip
    assert "2 passed" in found.stdout, found.stdout + found.stderr
