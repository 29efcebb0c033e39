"""Each role can do what docs/rights.md grants it for, and no more is needed."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from sereno.model.errors import StoreRightsError
from sereno.model.job import job
from sereno.store import migrator as module
from sereno.store.migration import Migration, migrations
from sereno.store.migrator import migrate
from sereno.triggers import every

from ..servers.postgres import PostgresServer
from .cli_scene import Scene as Cli
from .node import looking, running
from .scene import connected

pytestmark = [pytest.mark.every_postgres, pytest.mark.timeout(60)]

PAGE = (Path(__file__).parents[2] / "docs" / "rights.md").read_text()


def _statements(title: str) -> list[str]:
    """Return the SQL blocks below a title of the page."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sql\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


class App:
    """A database whose schema its owner has made, as the page says."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def dsn(self, role: str) -> str:
        return self._server.dsn("app").replace("postgres@", f"{role}@")

    async def do(self, *statements: str) -> None:
        async with connected(self._server.dsn("app")) as connection:
            for statement in statements:
                await connection.execute(statement)


@job("tests.tick", schedule=every("1s"))
async def tick(run: object) -> None: ...


@pytest.fixture
async def app(private_postgres: PostgresServer) -> App:
    private_postgres.execute("CREATE DATABASE app")
    app = App(private_postgres)
    create, revoke = _statements("Owner")
    await app.do("REVOKE ALL ON DATABASE app FROM PUBLIC", create)
    await app.do("GRANT CONNECT ON DATABASE app TO PUBLIC")
    await migrate(app.dsn("sereno_owner"))
    await app.do(revoke)
    return app


async def test_an_owner_whose_create_was_revoked_runs_and_migrates_further(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = app.dsn("sereno_owner")
    later = Migration(9000, "9000_pre_x.sql", "CREATE TABLE sereno.x (id int)", "x")
    monkeypatch.setattr(module, "migrations", lambda: (*migrations(), later))
    async with running(dsn, tick) as node:
        await node.leads()
        await node.finished("tests.tick")
    async with connected(dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM sereno.x") == 0


async def test_a_schema_that_was_made_for_the_owner_needs_no_create_at_all(
    private_postgres: PostgresServer,
) -> None:
    private_postgres.execute("CREATE DATABASE app")
    private_postgres.execute("CREATE ROLE sereno_owner LOGIN")
    app = App(private_postgres)
    await app.do("CREATE SCHEMA sereno AUTHORIZATION sereno_owner")
    names = [m.name for m in migrations() if not m.post]
    assert (await migrate(app.dsn("sereno_owner"))).applied == names


async def test_without_create_an_empty_database_is_told_as_such(
    private_postgres: PostgresServer,
) -> None:
    private_postgres.execute("CREATE DATABASE app")
    private_postgres.execute("CREATE ROLE sereno_owner LOGIN")
    with pytest.raises(StoreRightsError, match=r"needs CREATE on the database once.*rights\.md"):
        await migrate(App(private_postgres).dsn("sereno_owner"))


async def test_a_runner_leads_fires_runs_and_takes_over_from_one_that_died(app: App) -> None:
    await app.do(*_statements("Runner"))
    dsn = app.dsn("sereno_runner")
    async with looking(dsn) as eye, running(dsn, tick) as first:
        await first.leads()
        await first.finished("tests.tick")
        async with running(dsn, tick) as second:
            await first.die()
            await second.leads()
            row = await eye.ran("tests.tick")
            assert row["state"] == "succeeded"


async def test_a_runner_names_who_keeps_it_from_the_lead_and_may_not_be_ended_by_it(
    app: App, private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    await app.do(*_statements("Runner"))
    dsn = app.dsn("sereno_runner")
    async with connected(private_postgres.dsn("app")) as dba:
        transaction = dba.transaction()
        await transaction.start()
        await dba.execute("SELECT 1 FROM sereno.leadership FOR UPDATE")
        remedy = f"SELECT pg_terminate_backend({dba.get_server_pid()})"
        async with running(dsn, tick) as node:
            async with asyncio.timeout(20):
                while not any(remedy in r.error for r in told(caplog)):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert "keeps sereno.leadership locked" in told(caplog)[-1].error
            assert not node.status.leading
            await transaction.rollback()
            await node.leads()


def told(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [r for r in caplog.records if r.message == "the session is lost"]


async def test_a_runner_that_finds_a_migration_missing_names_it_and_who_may_apply_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    await app.do(*_statements("Runner"))
    later = Migration(9000, "9000_pre_x.sql", "ALTER TABLE sereno.run ADD COLUMN x int", "x")
    monkeypatch.setattr(module, "migrations", lambda: (*migrations(), later))
    with pytest.raises(StoreRightsError, match=r"9000_pre_x\.sql.*as the role that owns"):
        await migrate(app.dsn("sereno_runner"))
    # What the owner makes later is the runner's too.
    table = Migration(9001, "9001_pre_y.sql", "CREATE TABLE sereno.y (id int)", "y")
    monkeypatch.setattr(module, "migrations", lambda: (*migrations(), later, table))
    await migrate(app.dsn("sereno_owner"))
    async with connected(app.dsn("sereno_runner")) as connection:
        await connection.execute("INSERT INTO sereno.y VALUES (1)")


READS = [
    ["jobs"],
    ["runs"],
    ["show", "1"],
    ["next", "tests.tick"],
    ["schedule", "list"],
    ["cluster", "--all"],
    ["verify"],
]
WRITES = [
    ["trigger", "tests.tick"],
    ["pause", "tests.tick"],
    ["cancel", "1"],
]


async def test_a_reader_asks_everything_and_changes_nothing(app: App) -> None:
    await app.do(*_statements("Reader"))
    async with running(app.dsn("sereno_owner"), tick) as node:
        await node.leads()
        await node.finished("tests.tick")
    cli = Cli(app.dsn("sereno_reader"))
    for args in READS:
        result = await asyncio.to_thread(cli.call, *args)
        assert result.exit_code == 0, (args, result.output)
    for args in WRITES:
        result = await asyncio.to_thread(cli.call, *args)
        assert result.exit_code == 1, (args, result.output)
        assert "the database role may not do this" in result.stderr, (args, result.stderr)
