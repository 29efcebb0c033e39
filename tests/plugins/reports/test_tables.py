"""The tables of reports are made by the kernel, and those of earlier versions taken over."""

import asyncpg
import pytest

from sereno.plugins import Registry, collect, load_plugins
from sereno.settings import Settings
from sereno_reports import plugin

from ...integration.plugin_tables import tables_at
from .conftest import Make
from .exchange import Exchange

TABLES = "SELECT to_regclass('sereno_reports.delivery') IS NOT NULL"
LISTED = (
    "SELECT s.plugin || ' ' || m.number FROM sereno.plugin_migration m"
    " JOIN sereno.plugin_schema s ON s.name = m.schema"
    " ORDER BY m.number"
)


def registry(**settings: str) -> Registry:
    chosen = Settings(plugins={"reports": settings} if settings else {})
    return collect(load_plugins(chosen, extra=[("reports", plugin)], entry_points=False), chosen)


async def test_the_kernel_makes_the_tables_before_any_report(database: str) -> None:
    left = await tables_at(database, registry())
    assert left.plugins.loaded == ["reports"]
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval(TABLES)
        assert [row[0] for row in await connection.fetch(LISTED)] == [
            "reports 1",
            "reports 2",
            "reports 3",
        ]
    finally:
        await connection.close()


async def test_reports_that_were_kept_before_are_taken_over(
    pbx: Exchange, database: str, make: Make
) -> None:
    await pbx.load()
    await make({"day": "2024-11-19"})  # makes its tables by itself, as the version before
    before = await pbx.connection.fetch("SELECT * FROM sereno_reports.report")
    left = await tables_at(database, registry())
    assert left.plugins.loaded == ["reports"]
    assert await pbx.connection.fetch("SELECT * FROM sereno_reports.report") == before
    listed = [row[0] for row in await pbx.connection.fetch(LISTED)]
    assert listed == ["reports 1", "reports 2", "reports 3"]
    await make({"day": "2024-11-19"})
    assert await pbx.connection.fetch("SELECT * FROM sereno_reports.report") == before


async def test_reports_of_the_version_before_deliveries_become_this_one_s(
    pbx: Exchange, database: str, make: Make
) -> None:
    await pbx.load()
    await make({"day": "2024-11-19"})
    await pbx.connection.execute(
        "UPDATE sereno_reports.report SET look = NULL, params_hash = 'old';"
        " ALTER TABLE sereno_reports.report DROP COLUMN look;"
        " DROP TABLE sereno_reports.delivery"
    )
    await tables_at(database, registry())
    await make({"day": "2024-11-19"})
    hashes = "SELECT DISTINCT params_hash <> 'old' AND look IS NOT NULL FROM sereno_reports.report"
    assert [r[0] for r in await pbx.connection.fetch(hashes)] == [True]


@pytest.mark.parametrize("url", ["postgresql://ann@elsewhere.example/kept"])
def test_in_a_database_of_its_own_the_plugin_makes_its_tables_itself(url: str) -> None:
    assert registry(database_url=url).migrations == {}
    assert set(registry().migrations) == {"reports"}
