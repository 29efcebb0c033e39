"""Whatever row or table another session keeps locked, the leader leads on, and goes on after it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from sereno.model.job import job
from sereno.triggers import every

from ..servers.pgbouncer import PgBouncer
from ..servers.postgres import PostgresServer
from .node import Eye, LiveNode, running
from .scene import connected

pytestmark = pytest.mark.timeout(240)

LEASE = timedelta(seconds=2)
KEPT = 5.0
"""Seconds for which a lock is kept: three leases."""

ROWS = ("leadership", "watermark", "run", "job_stat", "node", "term", "schedule", "slot")
"""Tables that firing, claims, outcomes and presence touch."""

WHOLE = ("leadership", "watermark", "run", "slot", "job_stat")


@job("tests.one", schedule=every("1s"), catch_up="all", overlap="allow")
async def one(run: object) -> None: ...


@job("tests.other", schedule=every("1s"), catch_up="all", overlap="allow")
async def other(run: object) -> None: ...


@asynccontextmanager
async def kept(dsn: str, statement: str) -> AsyncIterator[asyncpg.Connection]:
    """Keep what `statement` locks."""
    async with connected(dsn) as stranger, stranger.transaction():
        await stranger.execute("SET LOCAL application_name = 'psql of a DBA'")
        await stranger.execute(statement)
        yield stranger


async def fired(eye: Eye, name: str, seconds: float) -> None:
    """Wait until that much more time has passed in slots of `name` that have run."""
    last = (
        "SELECT coalesce(max(s.slot), '-infinity') FROM sereno.slot s"
        " JOIN sereno.schedule c ON c.id = s.schedule_id WHERE c.job = $1"
    )
    now = await eye.value("SELECT clock_timestamp()")
    await eye.until(f"SELECT ({last}) > $2", name, now + timedelta(seconds=seconds), limit=40)


async def whole(eye: Eye, node: LiveNode, term: int) -> None:
    """Check that nobody else has led, and that both go on with no slot lost."""
    assert node.status.leading
    assert await eye.value("SELECT max(term) FROM sereno.term") == term
    for name in ("tests.one", "tests.other"):
        await fired(eye, name, 0.5)
    assert (
        await eye.rows(
            "SELECT schedule_id FROM sereno.slot GROUP BY 1"
            " HAVING count(*) <> round(extract(epoch FROM max(slot) - min(slot))) + 1"
        )
        == []
    )
    assert await eye.value("SELECT max(term) FROM sereno.term") == term


@pytest.mark.parametrize("mode", ["UPDATE", "KEY SHARE"])
async def test_one_schedule_waits_for_its_locked_row_and_the_others_do_not(
    mode: str, database: str, eye: Eye, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(database, one, other, lease=LEASE) as node:
        term = await node.leads()
        for name in ("tests.one", "tests.other"):
            await node.finished(name)
        rows = f"SELECT * FROM sereno.watermark WHERE job = 'tests.one' FOR {mode}"
        with caplog.at_level(logging.WARNING):
            async with kept(database, rows) as stranger:
                pid = stranger.get_server_pid()
                await fired(eye, "tests.other", KEPT)
        if mode == "UPDATE":
            told = [r for r in caplog.records if r.message.startswith("schedules wait")]
            assert len(told) == 1
            assert told[0].count == 1
            assert f"pid {pid} " in told[0].sessions
        await whole(eye, node, term)


@pytest.mark.parametrize(
    ("how", "table"), [*(("rows", t) for t in ROWS), *(("table", t) for t in WHOLE)]
)
async def test_the_lead_stays_through_a_lock_and_all_is_caught_up_after_it(
    how: str, table: str, database: str, eye: Eye
) -> None:
    statement = {
        "rows": f"SELECT * FROM sereno.{table} FOR UPDATE",
        "table": f"LOCK TABLE sereno.{table} IN ACCESS EXCLUSIVE MODE",
    }[how]
    async with running(database, one, other, lease=LEASE) as node:
        term = await node.leads()
        for name in ("tests.one", "tests.other"):
            await node.finished(name)
        async with kept(database, statement) as stranger:
            await seconds_pass(stranger, KEPT)
            assert node.status.leading
        await whole(eye, node, term)


async def test_the_lead_stays_while_a_trigger_of_a_stranger_refuses_every_run(
    database: str, eye: Eye
) -> None:
    async with running(database, one, other, lease=LEASE) as node:
        term = await node.leads()
        await node.finished("tests.one")
        await eye.value(
            "CREATE FUNCTION public.refuses() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'not at night'; END $$"
        )
        await eye.value(
            "CREATE TRIGGER a BEFORE UPDATE ON sereno.run"
            " FOR EACH ROW EXECUTE FUNCTION public.refuses()"
        )
        await eye.enqueue("tests.one")
        async with asyncio.timeout(20):
            while not node.status.troubles():  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.01)
        assert "not at night" in node.status.troubles()[0]
        await seconds_pass(eye.connection, KEPT)
        assert node.status.leading
        await eye.value("DROP TRIGGER a ON sereno.run")
        await eye.value("SELECT pg_notify('sereno', 'schedule')")
        await whole(eye, node, term)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM sereno.watermark FOR UPDATE",
        "SELECT * FROM sereno.job_stat FOR UPDATE",
        "LOCK TABLE sereno.slot IN ACCESS EXCLUSIVE MODE",
    ],
)
async def test_behind_a_pooler_the_lead_stays_through_a_lock_too(
    statement: str, database: str, eye: Eye, postgres_server: PostgresServer
) -> None:
    name = database.rpartition("/")[2]  # set as it is where nobody has set anything
    postgres_server.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
    pooler = PgBouncer(postgres_server.port, postgres_server.programs.account)
    try:
        pooler.start()
        pooled = pooler.dsn(database.rpartition("/")[2])
        async with running(pooled, one, other, lease=LEASE, leader_database_url=database) as node:
            term = await node.leads()
            for name in ("tests.one", "tests.other"):
                await node.finished(name)
            async with kept(database, statement) as stranger:
                await seconds_pass(stranger, KEPT)
                assert node.status.leading
            await whole(eye, node, term)
    finally:
        pooler.remove()


async def seconds_pass(connection: asyncpg.Connection, seconds: float) -> None:
    """Let the database's time pass, in which something must not happen."""
    await connection.execute("SELECT pg_sleep($1)", seconds)
