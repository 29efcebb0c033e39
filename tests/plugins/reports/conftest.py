from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio

from sereno.testing import run_context
from sereno_reports.daily import daily
from sereno_reports.settings import Settings

from .legs import MADRID, Exchange, exchange

NOW = datetime(2026, 11, 18, 7, 0, tzinfo=UTC)  # 08:00 in Madrid

Make = Callable[..., Any]


@pytest_asyncio.fixture
async def pbx(empty_database: str) -> AsyncIterator[Exchange]:
    """An exchange whose calls are in the test's database."""
    found = await exchange(empty_database)
    yield found
    await found.connection.close()


@pytest_asyncio.fixture
async def make(empty_database: str) -> Make:
    """Run the job as the kernel would, by default on 2026-11-18 at 08:00 in Madrid."""

    async def make_report(
        params: Any = None, *, now: datetime = NOW, slot: datetime | None = None, **settings: Any
    ) -> Any:
        chosen = Settings(**({"zone": MADRID} | settings))
        run = run_context(
            daily,
            params,
            settings=chosen,
            database_url=empty_database,
            slot=slot,
            clock=lambda: now,
        )
        return await daily.function(run)

    return make_report
