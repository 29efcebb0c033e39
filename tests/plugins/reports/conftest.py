from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from sereno.store.migrator import migrate
from sereno.testing import run_context
from sereno_etl_ivr.target.schema import ensure_schema
from sereno_reports.declared import Folder
from sereno_reports.figures import Figures
from sereno_reports.folders import found
from sereno_reports.report_job import job_of
from sereno_reports.settings import Settings
from sereno_reports.shelf import prepare

from ...servers.filling import filling, on_connection
from ...servers.postgres import PostgresServer
from .exchange import MADRID, Exchange, exchange

NOW = datetime(2024, 11, 20, 7, 0, tzinfo=UTC)  # 08:00 in Madrid, a Wednesday

Make = Callable[..., Any]


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """Give a database with the kernel's schema and the plugin's tables, and those of etl_ivr."""
    fill = filling(migrate, on_connection(ensure_schema), on_connection(prepare))
    with postgres_server.database("reports_template", fill) as dsn:
        yield dsn


@pytest_asyncio.fixture
async def pbx(database: str) -> AsyncIterator[Exchange]:
    """An exchange whose calls are in the test's database."""
    made = await exchange(database)
    yield made
    await made.connection.close()


@pytest_asyncio.fixture
async def make(database: str) -> Make:
    """Run a report's job as the kernel would, by default on 2024-11-20 at 08:00 in Madrid."""

    async def make_report(
        params: Any = None,
        *,
        report: str | Folder = "daily",
        now: datetime = NOW,
        slot: datetime | None = None,
        **settings: Any,
    ) -> Any:
        chosen = msgspec.convert({"zone": MADRID} | settings, Settings)
        folder = found(chosen.reports_dirs)[report] if isinstance(report, str) else report
        job = job_of(folder, chosen)
        run = run_context(
            job,
            params,
            settings=chosen,
            database_url=database,
            slot=slot,
            clock=lambda: now,
        )
        return await job.function(run)

    return make_report


@pytest_asyncio.fixture
async def figures(pbx: Exchange, make: Make) -> Callable[..., Any]:
    """Load what the exchange wrote, make a day's report, and give what is kept of it."""

    async def read(day: str = "2024-11-19", *, report: str = "daily", **settings: Any) -> Figures:
        await pbx.load()
        await make({"day": day}, report=report, **settings)
        row = await pbx.connection.fetchval(
            "SELECT figures::text FROM sereno_reports.report"
            " WHERE name = $1 AND day = $2::text::date ORDER BY revision DESC LIMIT 1",
            report,
            day,
        )
        return msgspec.json.decode(row, type=Figures)

    return read
