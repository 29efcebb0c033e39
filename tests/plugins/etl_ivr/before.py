"""The plugin of a version before, from the repository's history, in a process of its own."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ...history import unpack

COMMIT = "0383472a0bd5e92b908ca551ac418323a39ffb6c"
"""The last one whose target made its tables step by step, and listed none of them."""

_PLACE = "plugins/etl_ivr"

MAKE = """
import asyncio, sys, asyncpg
from sereno_etl_ivr.target import schema
schema.STEPS = schema.STEPS[: int(sys.argv[2])]
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    await schema.ensure_schema(connection)
    await connection.close()
asyncio.run(main())
"""
SYNC = """
import asyncio, sys
from sereno.testing import run_context
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync
settings = Settings(source_url=sys.argv[2], overlap=__import__("datetime").timedelta(days=9000))
asyncio.run(sync.function(run_context(sync, settings=settings, database_url=sys.argv[1])))
"""


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory to import the plugin of the version before from."""
    place = unpack(COMMIT, [f"{_PLACE}/sereno_etl_ivr"], tmp_path_factory.mktemp("before"))
    return place / _PLACE


async def run_before(before: Path, program: str, *arguments: str) -> None:
    """Run `program` with the plugin of the version before."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(before)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
