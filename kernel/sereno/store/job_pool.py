"""The connections that jobs work with: never those of claims and outcomes.

A job that keeps its connection for an hour, or asks for more than there are, makes other jobs wait
and nobody else. Sessions have the settings of their role, as any program's, and what a job leaves
behind in one is taken back when it is returned.
"""

import asyncio
from typing import Any

import asyncpg

from sereno.model.errors import StoreUnavailableError
from sereno.store.builtin_types import TypedConnection
from sereno.store.connection import probe
from sereno.store.errors import translated
from sereno.store.hosts import first_writable, writable
from sereno.store.own_sockets import unshare
from sereno.store.pool import file_of

PATIENCE = 30.0
"""Seconds that a job waits for a connection that others use."""

_CONNECT = 10.0


class JobPool:
    """At most `size` connections to `dsn`, opened by use, closed after a minute's rest."""

    def __init__(self, dsn: str, *, size: int) -> None:
        self._dsn = writable(dsn)
        self._size = size
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    def lent(self) -> "LentConnection":
        """Return what ``async with`` gives a connection by."""
        return LentConnection(self)

    async def take(self) -> asyncpg.Connection:
        """Return a connection, which is to be given back; raises StoreUnavailableError."""
        with translated():
            pool = await self._opened()
            try:
                return await pool.acquire(timeout=PATIENCE)
            except TimeoutError:
                if pool.get_idle_size() or pool.get_size() < self._size:
                    raise
        raise StoreUnavailableError(
            f"all {self._size} connections of jobs were in use for {PATIENCE:g} s; give them back "
            "sooner, or raise job_connections"
        )

    async def give_back(self, connection: asyncpg.Connection) -> None:
        """Take a connection back, as it was when it was lent."""
        if self._pool is not None:  # else it is closed already
            with translated():
                await self._pool.release(connection, timeout=_CONNECT)

    async def close(self) -> None:
        """Drop every connection, used or not, and open none again: what works on after its node has
        ended would leave it open."""
        self._closed = True
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._closed:
                raise StoreUnavailableError(
                    "the connections of jobs are closed: the node has ended"
                )
            if self._pool is None:
                pooled = (await probe(self._dsn, _CONNECT)).pooled
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    connect=_connect,
                    min_size=0,
                    max_size=self._size,
                    timeout=_CONNECT,
                    connection_class=TypedConnection,
                    init=_prepare,
                    statement_cache_size=0 if pooled else 100,
                    max_inactive_connection_lifetime=60.0,
                    server_settings={"application_name": "sereno jobs"},
                )
            return self._pool


class LentConnection:
    """A connection of the pool for the time of an ``async with``."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: JobPool) -> None:
        self._pool = pool
        self._connection: asyncpg.Connection | None = None

    async def __aenter__(self) -> asyncpg.Connection:
        self._connection = await self._pool.take()
        return self._connection

    async def __aexit__(self, *raised: Any) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._pool.give_back(connection)

    def __enter__(self) -> Any:
        raise TypeError(
            "run.database() is for 'async with'. A plain function opens a connection of its own, "
            "as psycopg.connect(run.database_url), or hands an async function that uses it to "
            "run.wait_for(...)"
        )

    def __exit__(self, *raised: Any) -> None:
        """Never called: nothing is entered so."""


async def _connect(dsn: str, **options: Any) -> asyncpg.Connection:
    return await first_writable(dsn, lambda host: asyncpg.connect(host, **options))


async def _prepare(connection: asyncpg.Connection) -> None:
    unshare(connection, file_of)
