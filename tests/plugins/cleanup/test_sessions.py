import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from sereno.testing import RecordedRun, run_context
from sereno_cleanup.query import query
from sereno_cleanup.sessions import sessions
from sereno_cleanup.settings import Settings

ADD = """
INSERT INTO django_session (session_key, session_data, expire_date)
SELECT $1 || n, 'data', now() + $2 FROM generate_series(1, $3::int) AS n
"""


@asynccontextmanager
async def table(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(query("demo_session_table"))
        yield connection
    finally:
        await connection.close()


async def add(connection: Any, prefix: str, expires_in: timedelta, count: int) -> None:
    await connection.execute(ADD, prefix, expires_in, count)


def run_on(url: str, **settings: Any) -> RecordedRun:
    return run_context(sessions, settings=Settings(**settings), database_url=url)


async def test_only_expired_sessions_go(empty_database: str) -> None:
    async with table(empty_database) as connection:
        await add(connection, "old", timedelta(days=-1), 3)
        await add(connection, "just", timedelta(seconds=-1), 2)
        await add(connection, "live", timedelta(hours=1), 4)
        result = await sessions.function(run_on(empty_database))
        left = await connection.fetch("SELECT session_key FROM django_session")
    assert result == {"deleted": 5, "batches": 1, "complete": True}
    assert {row["session_key"][:4] for row in left} == {"live"}


async def test_a_huge_table_is_deleted_in_short_transactions(empty_database: str) -> None:
    async with table(empty_database) as connection:
        await add(connection, "old", timedelta(days=-1), 25_000)
        await add(connection, "live", timedelta(hours=1), 10)
        run = run_on(empty_database, sessions_batch=2000)
        result = await sessions.function(run)
        left = await connection.fetchval("SELECT count(*) FROM django_session")
    assert (result["deleted"], result["complete"], left) == (25_000, True, 10)
    steps = [0, *(progress.done for progress in run.reporter.progresses)]
    assert steps[-1] == 25_000
    assert result["batches"] == len(steps) - 1 >= 13
    assert max(after - before for before, after in pairwise(steps)) <= 2000


async def test_a_session_that_somebody_renews_meanwhile_stays(empty_database: str) -> None:
    async with table(empty_database) as connection:
        await add(connection, "old", timedelta(days=-1), 5)
        renewal = connection.transaction()
        await renewal.start()
        await connection.execute(
            "UPDATE django_session SET expire_date = now() + interval '1 day' "
            "WHERE session_key = 'old3'"
        )
        result = await sessions.function(run_on(empty_database))
        await renewal.commit()
        left = await connection.fetch("SELECT session_key FROM django_session")
    assert result["deleted"] == 4
    assert [row["session_key"] for row in left] == ["old3"]


async def test_a_locked_table_fails_the_run_instead_of_making_logins_wait(
    empty_database: str,
) -> None:
    async with table(empty_database) as connection:
        await add(connection, "old", timedelta(days=-1), 5)
        async with connection.transaction():
            await connection.execute("LOCK TABLE django_session IN SHARE MODE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await sessions.function(run_on(empty_database))


async def test_a_missing_table_is_said_and_is_no_failure(empty_database: str) -> None:
    result = await sessions.function(run_on(empty_database))
    assert result == {
        "deleted": 0,
        "batches": 0,
        "complete": True,
        "note": "table django_session does not exist",
    }


async def test_it_stops_before_its_time_limit_and_says_so(empty_database: str) -> None:
    async with table(empty_database) as connection:
        await add(connection, "old", timedelta(days=-1), 5)
        run = run_on(empty_database)
        run.deadline = datetime.now(UTC) + timedelta(seconds=1)
        result = await sessions.function(run)
    assert result == {"deleted": 0, "batches": 0, "complete": False}


async def test_a_cancelled_run_leaves_whole_batches(empty_database: str) -> None:
    async with table(empty_database) as connection:
        await add(connection, "old", timedelta(days=-1), 20_000)
        work = run_on(empty_database, sessions_batch=100)
        run = asyncio.create_task(sessions.function(work))
        while not work.reporter.progresses:  # noqa: ASYNC110
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        left = await connection.fetchval("SELECT count(*) FROM django_session")
    assert 0 < left < 20_000
    told = [progress.done for progress in work.reporter.progresses]
    assert told[-1] <= 20_000 - left <= told[-1] + 100


async def test_the_sessions_may_be_in_another_schema_and_database(
    empty_database: str,
) -> None:
    async with table(empty_database) as connection:
        await add(connection, "old", timedelta(days=-1), 2)
        await connection.execute('CREATE SCHEMA "Web"; ALTER TABLE django_session SET SCHEMA "Web"')
        run = run_context(
            sessions,
            settings=Settings(database_url=empty_database, sessions_table="Web.django_session"),
            database_url="postgresql://nobody@127.0.0.1:1/none",
        )
        assert (await sessions.function(run))["deleted"] == 2


async def test_a_table_without_index_is_told(empty_database: str) -> None:
    async with table(empty_database) as connection:
        await connection.execute("DROP INDEX django_session_expire_date")
        result = await sessions.function(run_on(empty_database))
    assert result["note"] == "django_session has no index on expire_date: it is slow"
