"""Of several hosts in a URL, the one that may be written is found, however the others fail."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sereno.model.errors import StoreError, StoreUnavailableError
from sereno.store.hosts import each_host, writable
from sereno.store.pool import Database

from ..servers.postgres import PostgresServer
from ..servers.supervised import free_port


@pytest.mark.parametrize(
    ("dsn", "hosts"),
    [
        ("postgresql://u:p@a/x", ["postgresql://u:p@a/x"]),
        ("postgresql://u:p@a:1,b:2/x?c=d", ["postgresql://u:p@a:1/x?c=d", "postgresql://u:p@b:2/x?c=d"]),
        ("postgresql://[::1]:5,[::2]/x", ["postgresql://[::1]:5/x", "postgresql://[::2]/x"]),
        ("postgresql://u:p%2C@a,b", ["postgresql://u:p%2C@a", "postgresql://u:p%2C@b"]),
        ("postgresql://u:p,q@a", ["postgresql://u:p,q@a"]),
        ("postgresql:///x?host=/s&port=1", ["postgresql:///x?host=/s&port=1"]),
        (
            "postgresql:///x?host=a,b&port=1,2",
            ["postgresql:///x?host=a&port=1", "postgresql:///x?host=b&port=2"],
        ),
        (
            "postgresql:///x?host=a,b&port=7",
            ["postgresql:///x?host=a&port=7", "postgresql:///x?host=b&port=7"],
        ),
        ("postgresql:///x?host=a,b", ["postgresql:///x?host=a", "postgresql:///x?host=b"]),
    ],
)  # fmt: skip
def test_each_host_of_a_url_has_a_url_of_its_own(dsn: str, hosts: list[str]) -> None:
    assert each_host(dsn) == hosts


def test_only_several_hosts_are_asked_whether_they_may_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, chosen = "postgresql://a/x", "postgresql://a,b/x?target_session_attrs=primary"
    assert writable(one) == one
    assert writable(chosen) == chosen
    assert writable("postgresql://a,b/x") == "postgresql://a,b/x?target_session_attrs=read-write"
    assert (
        writable("postgresql://a,b?c=d") == "postgresql://a,b?c=d&target_session_attrs=read-write"
    )
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "any")
    assert writable("postgresql://a,b/x") == "postgresql://a,b/x"


async def is_standby(dsn: str) -> bool:
    db = Database(dsn, size=1, timeout=5)
    await db.open()
    try:
        async with db.connection() as connection:
            return bool(await connection.fetchval("SELECT pg_is_in_recovery()"))
    finally:
        await db.close()


@contextmanager
def silent() -> Iterator[int]:
    """Give a port that takes connections and never answers, as a frozen server's."""
    loop = asyncio.get_running_loop()
    held: list[asyncio.StreamWriter] = []
    port = free_port()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    serving = loop.create_task(asyncio.start_server(take, "127.0.0.1", port))
    try:
        yield port
    finally:
        serving.result().close()
        for writer in held:
            writer.close()


async def test_a_standby_is_passed_over_wherever_it_stands(
    private_postgres: PostgresServer,
) -> None:
    standby = await asyncio.to_thread(private_postgres.standby)
    try:
        ports = [standby.port, private_postgres.port]
        for first, second in (ports, reversed(ports)):
            hosts = f"127.0.0.1:{first},127.0.0.1:{second}"
            assert not await is_standby(f"postgresql://postgres@{hosts}/postgres")
            assert not await is_standby(
                f"postgresql:///postgres?user=postgres&host=127.0.0.1,127.0.0.1&port={first},{second}"
            )
    finally:
        standby.remove()


async def test_a_host_that_answers_nothing_costs_no_other_its_turn(
    postgres_server: PostgresServer,
) -> None:
    with silent() as port:
        hosts = f"127.0.0.1:{port},127.0.0.1:{postgres_server.port}"
        assert not await is_standby(f"postgresql://postgres@{hosts}/postgres")


async def test_when_no_host_can_be_written_the_sentence_says_why_of_each(
    private_postgres: PostgresServer,
) -> None:
    standby = await asyncio.to_thread(private_postgres.standby)
    try:
        private_postgres.kill()
        gone = private_postgres.port
        dsn = f"postgresql://u:secret@127.0.0.1:{gone},127.0.0.1:{standby.port}/postgres"
        with pytest.raises(StoreUnavailableError) as told:
            await is_standby(dsn.replace("u:secret", "postgres:secret"))
    finally:
        standby.remove()
    text = str(told.value)
    assert f"127.0.0.1:{standby.port}: it is a standby in recovery, or read-only" in text
    assert f"127.0.0.1:{gone}: " in text
    assert "secret" not in text


async def test_a_fault_that_time_does_not_mend_is_told_before_an_absent_host(
    postgres_server: PostgresServer,
) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{postgres_server.port}"
    with pytest.raises(StoreError, match='database "nowhere" does not exist'):
        await is_standby(f"postgresql://postgres@{hosts}/nowhere")


async def test_a_socket_that_nobody_serves_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=f"no server listens at a socket in {tmp_path}"):
        await is_standby(f"postgresql://postgres@/postgres?host={tmp_path}")


async def test_a_pool_whose_server_ends_logs_nothing_by_itself(
    private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(private_postgres.dsn())
    await database.open()
    try:
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1
        await asyncio.to_thread(private_postgres.kill)
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                async with database.connection() as connection:
                    await connection.fetchval("SELECT 1")
    finally:
        await database.close()
    assert [record.name for record in caplog.records if "asyncpg" in record.name] == []


@pytest.mark.every_loop
async def test_a_port_where_nothing_answers_is_told_with_what_to_do() -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(StoreUnavailableError, match="start PostgreSQL, or correct the address"):
            await is_standby(f"postgresql://postgres@{host}:{free_port()}/postgres")
