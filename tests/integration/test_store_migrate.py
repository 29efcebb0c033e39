"""The schema comes up once, whoever comes first, and nobody works on one that does not fit."""

import asyncio
from collections.abc import Iterable
from uuid import UUID

import pytest

from sereno.model.errors import SchemaError, StoreError, StoreUnavailableError
from sereno.store import migrator as module
from sereno.store.keys import LOCK_CLASS, MIGRATION_LOCK
from sereno.store.migration import Migration, migrations
from sereno.store.migrator import confirm, migrate, up_to_date
from sereno.store.nodes import NodeFacts, join
from sereno.store.pool import Database

from .metrics_scene import opened
from .node import Eye
from .scene import connected

pytestmark = pytest.mark.every_postgres

OLD_NODE = UUID(int=7)
WAITING = """
    SELECT count(*) FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE $1
"""


async def _execute(dsn: str, statement: str, *args: object) -> None:
    async with connected(dsn) as connection:
        await connection.execute(statement, *args)


async def _listed(dsn: str) -> list[str]:
    async with connected(dsn) as connection:
        rows = await connection.fetch("SELECT name FROM sereno.migration ORDER BY number")
    return [r["name"] for r in rows]


def _files(*texts: tuple[str, str]) -> list[Migration]:
    """Return made-up migrations that follow ours: each a name without its number, and a text."""
    return [
        Migration(9000 + n, f"{9000 + n}_{name}.sql", text, f"sum of {name}")
        for n, (name, text) in enumerate(texts)
    ]


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch) -> "Code":
    return Code(monkeypatch)


class Code:
    """Which migrations the code knows beside our own."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def knows(self, files: Iterable[Migration]) -> None:
        known = (*migrations(), *files)
        self._patch.setattr(module, "migrations", lambda: known)


async def test_an_empty_database_gets_every_migration_and_a_second_go_has_nothing_to_do(
    empty_database: str,
) -> None:
    names = [m.name for m in migrations() if not m.post]
    assert (await migrate(empty_database)).applied == names
    assert (await migrate(empty_database)).applied == []
    assert await _listed(empty_database) == names


async def test_whether_anything_is_missing_is_asked_of_the_pool(
    empty_database: str, code: "Code"
) -> None:
    async with opened(empty_database, size=1) as db:
        assert await up_to_date(db) is None
        await migrate(empty_database)
        assert await up_to_date(db) == await migrate(empty_database)
        code.knows(_files(("pre_more", "SELECT 1"), ("post_less", "SELECT 1")))
        assert await up_to_date(db) is None
        await migrate(empty_database)
        found = await up_to_date(db)
        assert found == await migrate(empty_database)
        assert found is not None
        assert found.waiting[-1].endswith("post_less.sql")
        await _execute(empty_database, "UPDATE sereno.migration SET checksum = 'another'")
        assert await up_to_date(db) is None


async def test_of_several_replicas_that_start_at_once_each_migration_is_applied_by_one(
    empty_database: str,
) -> None:
    done = await asyncio.gather(*(migrate(empty_database) for _ in range(6)))
    applied = [name for one in done for name in one.applied]
    assert sorted(applied) == [m.name for m in migrations() if not m.post]


async def test_a_migration_that_was_changed_after_it_had_been_applied_is_refused(
    database: str,
) -> None:
    await _execute(database, "UPDATE sereno.migration SET checksum = 'x' WHERE number = 1")
    with pytest.raises(SchemaError, match=r"0001_pre_\w+\.sql was changed after it had been"):
        await migrate(database)


async def test_a_schema_with_newer_pre_migrations_is_worked_with_and_told(
    database: str, code: Code
) -> None:
    newer = _files(("pre_wider", "SELECT 1"), ("pre_wider_still", "SELECT 2"))
    code.knows(newer)
    await migrate(database)
    code.knows([])
    done = await migrate(database)
    assert (done.applied, done.newer) == ([], [m.name for m in newer])


async def test_an_unknown_post_migration_is_refused_with_the_remedy(database: str) -> None:
    await _execute(
        database, "INSERT INTO sereno.migration VALUES (9999, '9999_post_future.sql', 'x')"
    )
    with pytest.raises(SchemaError, match=r"9999_post_future\.sql.*upgrade this replica"):
        await migrate(database)


@pytest.mark.parametrize("name", ["", "9999_pre_", "9999_mid_x.sql", "9999_pre_x.sql\n", "pre"])
async def test_what_is_no_name_of_a_pre_migration_is_taken_for_one_that_does_not_fit(
    name: str, database: str
) -> None:
    await _execute(database, "INSERT INTO sereno.migration VALUES (9999, $1, 'x')", name)
    with pytest.raises(SchemaError, match="upgrade this replica"):
        await migrate(database)


async def test_a_migration_that_fails_leaves_nothing_of_itself_and_those_before_it_stay(
    database: str, code: Code
) -> None:
    good, bad, after = _files(
        ("pre_good", "CREATE TABLE sereno.whole (id int)"),
        ("pre_bad", "CREATE TABLE sereno.half (id int); SELECT 1/0"),
        ("pre_after", "CREATE TABLE sereno.after (id int)"),
    )
    code.knows([good, bad, after])
    with pytest.raises(StoreError, match=r"9001_pre_bad\.sql failed: division by zero"):
        await migrate(database)
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT to_regclass('sereno.half')") is None
        assert await connection.fetchval("SELECT to_regclass('sereno.whole')") == "sereno.whole"
        assert await connection.fetchval("SELECT max(number) FROM sereno.migration") == 9000
    mended = Migration(9001, "9001_pre_bad.sql", "CREATE TABLE sereno.half (id int)", "y")
    code.knows([good, mended, after])
    assert (await migrate(database)).applied == [mended.name, after.name]


async def test_post_migrations_are_applied_when_asked_for_alone_and_after_all_pre_ones(
    database: str, code: Code
) -> None:
    await migrate(database, post=True)  # our own
    post, pre = _files(
        ("post_narrower", "ALTER TABLE sereno.extra DROP COLUMN old"),
        ("pre_extra", "CREATE TABLE sereno.extra (old int, new int)"),
    )
    code.knows([post, pre])
    done = await migrate(database)
    assert (done.applied, done.waiting) == ([pre.name], [post.name])
    done = await migrate(database)
    assert (done.applied, done.waiting) == ([], [post.name])
    done = await migrate(database, post=True)
    assert (done.applied, done.waiting) == ([post.name], [])


@pytest.mark.parametrize("migration", [None, 8999])
async def test_a_post_migration_is_refused_while_a_node_that_does_not_know_it_is_present(
    migration: int | None, database: str, code: Code
) -> None:
    await migrate(database, post=True)  # our own
    pre, post = _files(("pre_x", "SELECT 1"), ("post_x", "SELECT 1"))
    code.knows([pre, post])
    async with connected(database) as node:
        key = await node.fetchval(
            "INSERT INTO sereno.node (id, label, pid, version, migration)"
            " VALUES ($1, 'blue-1', 42, '0.9', $2) RETURNING key",
            OLD_NODE,
            migration,
        )
        await node.execute("SELECT pg_advisory_lock($1::int, $2::int)", LOCK_CLASS, key)
        with pytest.raises(SchemaError, match=r"9001_post_x.*'blue-1' \(pid 42, version 0\.9\)"):
            await migrate(database, post=True)
        assert (await _listed(database))[-1] == pre.name
        await node.execute("UPDATE sereno.node SET migration = 9001")
        assert (await migrate(database, post=True)).applied == [post.name]


async def test_a_node_without_its_lock_counts_while_it_has_a_session_and_has_not_left(
    database: str, code: Code
) -> None:
    await migrate(database, post=True)  # our own
    code.knows(_files(("post_x", "SELECT 1")))
    await _execute(
        database,
        "INSERT INTO sereno.node (id, label, pid, version) VALUES ($1, 'frozen', 42, '0.9')",
        OLD_NODE,
    )
    async with connected(database) as node:
        await node.execute(f"SET application_name = 'sereno {OLD_NODE}'")
        with pytest.raises(SchemaError, match="'frozen'"):
            await migrate(database, post=True)
        await node.execute("UPDATE sereno.node SET left_at = clock_timestamp()")
        assert (await migrate(database, post=True)).applied == ["9000_post_x.sql"]


async def test_one_that_joins_while_a_post_migration_is_applied_hears_of_it(
    database: str, code: Code, eye: Eye
) -> None:
    await migrate(database, post=True)  # our own
    code.knows(_files(("post_x", "SELECT pg_advisory_xact_lock(1)")))
    db = Database(database, size=1)
    await db.open()
    try:
        async with connected(database) as gate:
            await gate.execute("SELECT pg_advisory_lock(1)")
            posting = asyncio.create_task(migrate(database, post=True))
            await eye.until(WAITING, "SELECT pg_advisory_xact_lock(1)")
            facts = NodeFacts(OLD_NODE, "late", 42, "0.9", None, 4)
            joining = asyncio.create_task(join(db, facts))
            await eye.until(WAITING, "%INSERT INTO sereno.node%")
            await gate.execute("SELECT pg_advisory_unlock(1)")
            assert (await posting).applied == ["9000_post_x.sql"]
            await joining
        code.knows([])
        with pytest.raises(SchemaError, match=r"9000_post_x\.sql.*upgrade this replica"):
            await confirm(db)
    finally:
        await db.close()


async def test_a_stranger_with_the_migrators_lock_is_named_and_disturbs_nobody_who_is_up_to_date(
    database: str, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCK_PATIENCE_MS", 50)
    async with connected(database) as stranger:
        await stranger.execute("SET application_name = 'nightly report'")
        await stranger.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        assert (await migrate(database)).applied == []
        code.knows(_files(("pre_x", "SELECT 1")))
        pid = stranger.get_server_pid()
        named = (
            rf"pid {pid} \(role 'postgres', application 'nightly report'\).*pg_terminate_backend"
        )
        with pytest.raises(StoreUnavailableError, match=named):
            await migrate(database)
        # The server may take longer than that to notice that a session has gone.
        await stranger.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)
    assert (await migrate(database)).applied == ["9000_pre_x.sql"]


async def test_a_table_in_use_is_not_queued_for_until_all_wait_and_who_uses_it_is_named(
    database: str, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TABLE_PATIENCE_MS", 50)
    monkeypatch.setattr(module, "_STAND_BACK", 0.01)
    code.knows(_files(("pre_x", "ALTER TABLE sereno.run ADD COLUMN x int")))
    async with connected(database) as stranger, stranger.transaction():
        await stranger.execute("SELECT count(*) FROM sereno.run")
        pid = stranger.get_server_pid()
        with pytest.raises(StoreUnavailableError, match=rf"9000_pre_x\.sql waits.*pid {pid} "):
            await migrate(database)
        await _execute(database, "SELECT count(*) FROM sereno.run")  # nobody is behind it
    assert (await migrate(database)).applied == ["9000_pre_x.sql"]


async def test_where_serializable_is_the_default_several_still_migrate_at_once(
    empty_database: str,
) -> None:
    name = empty_database.rpartition("/")[2]
    await _execute(
        empty_database,
        f"ALTER DATABASE {name} SET default_transaction_isolation = serializable",
    )
    done = await asyncio.gather(*(migrate(empty_database) for _ in range(4)))
    assert sorted(n for d in done for n in d.applied) == await _listed(empty_database)


async def test_no_database_is_told_as_such() -> None:
    with pytest.raises(StoreUnavailableError):
        await migrate("postgresql://nobody@127.0.0.1:1/none")


def test_each_migration_has_a_number_of_its_own_and_says_before_or_after_which_code() -> None:
    numbers = [m.number for m in migrations()]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1
