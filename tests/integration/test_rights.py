"""Each role can do what `sereno grants` grants it for, and no more is needed."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from sereno import Migrations, hookimpl
from sereno.cli import main
from sereno.cli.invocation import Invocation
from sereno.model.errors import StoreRightsError
from sereno.model.job import job
from sereno.plugins import load_plugins
from sereno.settings import Settings
from sereno.store import migrator as module
from sereno.store.grants import KINDS
from sereno.store.migration import Migration, migrations
from sereno.store.migrator import migrate
from sereno.triggers import every

from ..servers.postgres import PostgresServer
from .cli_scene import Scene as Cli
from .node import looking, running
from .scene import connected

pytestmark = [
    pytest.mark.every_postgres,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("rights"),  # each worker would make the server to copy
]

PAGE = (Path(__file__).parents[2] / "docs" / "rights.md").read_text()


def _statements(title: str) -> list[str]:
    """Return the statements below a title of the page."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```sql\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return block.splitlines()  # type: ignore[no-any-return]


def sereno(*args: str, plugins: list[tuple[str, Any]] | None = None) -> Result:
    """Call ``sereno`` without plugins but these."""
    invocation = Invocation()
    invocation.plugins = load_plugins(Settings(), extra=plugins or [], entry_points=False)
    return CliRunner().invoke(main, [*args], obj=invocation)


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

    async def grant(self, kind: str, *args: str, plugins: Any = None, by: str = "postgres") -> None:
        """Have `by` give a role what it needs."""
        call = ("--database-url", self.dsn(by), "grants", kind, "--apply", *args)
        result = await asyncio.to_thread(sereno, *call, plugins=plugins)
        assert result.exit_code == 0, result.output


@job("tests.tick", schedule=every("1s"))
async def tick(run: object) -> None: ...


@pytest.fixture(scope="module")
def owned(
    postgres_servers: Callable[[int], PostgresServer], postgres_version: int
) -> Iterator[PostgresServer]:
    """Give a server, stopped, with an `App` that is migrated."""

    async def make(app: App) -> None:
        await app.do(
            "REVOKE ALL ON DATABASE app FROM PUBLIC", "GRANT CONNECT ON DATABASE app TO PUBLIC"
        )
        await app.grant("owner")
        await migrate(app.dsn("sereno_owner"))

    server = PostgresServer(postgres_servers(postgres_version).programs)
    try:
        server.start()
        server.execute("CREATE DATABASE app")
        asyncio.run(make(App(server)))
        server.stop()
        yield server
    finally:
        server.remove()


@pytest.fixture
def app(owned: PostgresServer) -> Iterator[App]:
    """Give one whose server, with its roles, is this test's own."""
    server = PostgresServer(owned.programs)
    try:
        server.run("cp", "-a", owned.data, server.data)
        server.start()
        yield App(server)
    finally:
        server.remove()


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_shows_what_the_command_prints(kind: str) -> None:
    assert sereno("grants", kind).stdout.splitlines() == _statements(kind.title())


async def test_an_owner_that_may_make_no_schema_runs_and_migrates_further(
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
    await app.grant("runner")
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
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    await app.grant("runner")
    dsn = app.dsn("sereno_runner")
    async with connected(app.dsn("postgres")) as dba:
        transaction = dba.transaction()
        await transaction.start()
        await dba.execute("SELECT 1 FROM sereno.leadership FOR UPDATE")
        remedy = f"SELECT pg_terminate_backend({dba.get_server_pid()})"
        async with running(dsn, tick) as node:
            async with asyncio.timeout(45):
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
    await app.grant("runner")
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
    await app.grant("reader")
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
        assert "`sereno grants runner`" in " ".join(result.stderr.split()), result.stderr


async def test_a_caller_queues_runs_forges_nothing_and_reads_nothing(app: App) -> None:
    await app.grant("runner", by="postgres")
    await app.grant("caller", "--role", "shop")
    async with running(app.dsn("sereno_runner"), tick) as node:
        await node.leads()
        await node.finished("tests.tick")
    async with connected(app.dsn("shop")) as shop:
        for call in (
            "SELECT sereno.enqueue('tests.tick')",
            "SELECT sereno.enqueue('tests.tick', priority => 3)",
            "SELECT * FROM sereno.enqueue_many('tests.tick', ARRAY['{}'::jsonb])",
        ):
            await shop.execute(call)
        for forbidden in (
            "SELECT * FROM sereno.run",
            "INSERT INTO sereno.run (job, cause) VALUES ('tests.tick', 'slot')",
            "UPDATE sereno.leadership SET term = term + 1",
            "SELECT sereno.prune()",
        ):
            with pytest.raises(
                (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError)
            ):
                await shop.execute(forbidden)
        with pytest.raises(asyncpg.PostgresError):
            await shop.execute("SELECT sereno.enqueue('tests.tick', requested_by => 'the boss')")
    async with connected(app.dsn("postgres")) as dba:
        rows = await dba.fetch(
            "SELECT DISTINCT cause, requested_by FROM sereno.run WHERE cause <> 'slot'"
        )
    assert [tuple(r) for r in rows] == [("program", "shop")]


def with_tables(place: Path) -> list[tuple[str, Any]]:
    """Return a plugin with a table and a sequence of its own."""
    package = place / "shelf"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    text = "CREATE TABLE book (id bigint GENERATED ALWAYS AS IDENTITY, title text);"
    (package / "migrations" / "0001_pre_book.sql").write_text(text)

    class Shelf:
        __name__ = "shelf"

        @staticmethod
        @hookimpl
        def sereno_register_migrations() -> Migrations:
            return Migrations(schema="shelf", package="shelf")

    return [("shelf", Shelf)]


async def test_plugins_schemas_are_the_owners_and_the_runners_and_a_readers_by_name(
    private_postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = with_tables(tmp_path)
    private_postgres.execute("CREATE DATABASE app")
    app = App(private_postgres)
    await app.grant("owner", plugins=plugins)
    call = ("--database-url", app.dsn("sereno_owner"), "migrate")
    made = await asyncio.to_thread(sereno, *call, plugins=plugins)
    assert made.exit_code == 0, made.output
    for kind in ("runner", "reader"):
        await app.grant(kind, plugins=plugins)
        await app.grant(kind, plugins=plugins, by="sereno_owner")  # the second time by the owner
    async with connected(app.dsn("sereno_runner")) as runner:
        await runner.execute("INSERT INTO shelf.book (title) VALUES ('a')")
    async with connected(app.dsn("sereno_reader")) as reader:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch("SELECT * FROM shelf.book")
        await app.grant("reader", "--schema", "shelf")
        assert len(await reader.fetch("SELECT * FROM shelf.book")) == 1


async def test_a_role_of_any_name_is_made_and_nothing_else_is_done_by_its_name(app: App) -> None:
    strange = """o'c"onn or; DROP SCHEMA sereno CASCADE; --é😀"""
    for kind in KINDS:
        await app.grant(kind, "--role", f"{strange[:40]}{kind}")
    async with connected(app.dsn("postgres")) as dba:
        assert await dba.fetchval("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'o''c\"%'") == 4
        assert await dba.fetchval("SELECT to_regclass('sereno.run')") is not None


@pytest.mark.parametrize("name", ["", "a" * 64, "pg_read_all_data", "public", "a$b", "a\nb"])
def test_a_name_that_is_no_roles_is_refused(name: str) -> None:
    result = sereno("grants", "reader", "--role", name or "\x00")
    assert result.exit_code == 2
    assert "role" in result.stderr


def test_a_schema_that_is_none_is_refused_and_json_holds_the_statements() -> None:
    assert sereno("grants", "runner", "--schema", 'a"b').exit_code == 2
    found = json.loads(sereno("grants", "runner", "--schema", "shelf", "--json").stdout)
    assert (found["kind"], found["role"], found["applied"]) == ("runner", "sereno_runner", False)
    assert any("shelf" in s for s in found["statements"])


async def test_without_the_right_nothing_is_granted(app: App) -> None:
    call = ("--database-url", app.dsn("sereno_owner"), "grants", "runner", "--apply")
    result = await asyncio.to_thread(sereno, *call)
    assert result.exit_code == 1
    assert "CREATE ROLE" in result.stderr or "create role" in result.stderr, result.stderr
    assert "--database-url names an administrator's here" in result.stderr
