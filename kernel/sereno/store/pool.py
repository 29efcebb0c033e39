"""The pooled connections through which everything but the leader's lock goes.

`Connection` and `Record` are the driver's types, for those who may not know the driver.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import asyncpg

from sereno.store.builtin_types import TypedConnection
from sereno.store.codecs import CODECS, json_writer
from sereno.store.connection import Way, encoding_of, guarded, probe
from sereno.store.encoding import Encoding
from sereno.store.errors import translated
from sereno.store.hosts import first_writable, writable
from sereno.store.own_sockets import unshare
from sereno.store.sql import sql

POOL_SIZE = 8
"""Connections of a node's own pool."""

KEEPING = 3
"""Those among them that keep plans: claims, outcomes and hand-overs are written one at a time."""

_FEW = 20
"""Rows of a statement whose plan is worth keeping: of more, planning is a small part."""

_KEEP = {"plan_cache_mode": "force_generic_plan"}
"""PostgreSQL by itself makes a plan for each short array anew, which takes longer than to carry it
out."""

_KEPT_FOR = 1.0
"""Seconds for which a plan is kept: one that was made for empty tables may not outlive that."""

_SHUT = "this process has no connection open: it waits for the database, or is at its end"

Connection = asyncpg.Connection
Record = asyncpg.Record


class _PooledConnection(TypedConnection):
    """A pooled connection whose sessions keep no state, so that a release costs no round trip."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


class _Fitting(_PooledConnection):
    """A connection with a database whose encoding has not every letter."""

    __slots__ = ()

    async def _execute(self, query: str, args: Any, *rest: Any, **options: Any) -> Any:
        """Write each text of the arguments so that it can be kept: all statements come here."""
        return await super()._execute(query, encoding_of(self).fitted(args), *rest, **options)


class _Keeping(_PooledConnection):
    """A connection that keeps plans. `planned`: the instant since which it does."""

    __slots__ = ("planned",)

    async def plan_anew(self) -> None:
        """Drop plans that are too old."""
        now = monotonic()
        if now - getattr(self, "planned", 0.0) > _KEPT_FOR:
            await self.execute(sql("plans_discard"))
            self.planned = now


class _KeepingFitting(_Keeping, _Fitting):
    """A connection that does both."""

    __slots__ = ()


async def prepare_connection(connection: asyncpg.Connection) -> None:
    """Make `connection` read any jsonb, instant and duration as Python values, and take values or
    JSON bytes for jsonb."""
    unshare(connection, file_of)
    await set_codecs(connection, "jsonb", "timestamptz", "interval")


async def set_codecs(connection: asyncpg.Connection, *types: str) -> None:
    """Make `connection` read any value of these types."""
    for name in types:
        encode, decode, form = CODECS[name]
        if name == "jsonb" and not encoding_of(connection).whole:
            encode = json_writer(encoding_of(connection).fitted_json)
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=encode, decoder=decode, format=form
        )


def file_of(connection: asyncpg.Connection) -> int:
    """Return the file descriptor of `connection`'s socket, -1 when it is closed."""
    if connection.is_closed():
        return -1
    used = connection._transport.get_extra_info("socket")
    return -1 if used is None else int(used.fileno())


class Database:
    """A pool of connections to `dsn`; every statement has a time limit (seconds) and a name.

    Works through a transaction pooler: no session state, and no prepared statements where one is
    seen. Of several hosts it is connected with the one that may be written. `lock_timeout`: seconds
    for which a statement waits for a lock, 0: as long as for anything else; behind a pooler each
    statement is a transaction then, unless the role has such a limit.
    """

    def __init__(
        self,
        dsn: str,
        *,
        size: int = POOL_SIZE,
        timeout: float = 10.0,
        application: str = "sereno",
        lock_timeout: float = 0.0,
        keeping: int = 0,
    ) -> None:
        """`keeping`: so many of the connections are for `connection_for` alone."""
        self.dsn = writable(dsn)
        self.pooled = False
        self.encoding = Encoding("UTF8")
        self._guarded = False
        self._size = size - keeping
        self._keeping = keeping
        self._timeout = timeout
        self._application = application
        self._lock_timeout = lock_timeout
        self._pool: asyncpg.Pool | None = None
        self._keeper: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Connect; raises StoreUnavailableError when the database is away."""
        with translated():
            way = await probe(self.dsn, self._timeout, self._lock_timeout)
            self.pooled, self._guarded = way.pooled, way.guarded
            self.encoding = way.encoding
            keeping = 0 if self.pooled else self._keeping
            self._pool = await self._made(way, self._size + self._keeping - keeping)
            if keeping:
                self._keeper = await self._made(way, keeping, keeps=True)

    async def _made(self, way: Way, size: int, *, keeps: bool = False) -> asyncpg.Pool:
        plain, fitting = (_Keeping, _KeepingFitting) if keeps else (_PooledConnection, _Fitting)
        return await asyncpg.create_pool(
            self.dsn,
            connect=_connect,
            min_size=0,  # else it tries to have one back, and logs a traceback each time
            max_size=size,
            timeout=self._timeout,
            command_timeout=self._timeout,
            connection_class=plain if way.encoding.whole else fitting,
            init=prepare_connection,
            statement_cache_size=0 if way.pooled else 200,
            max_inactive_connection_lifetime=60.0,
            server_settings={**self._server_settings(way), **(_KEEP if keeps else {})},
        )

    def _server_settings(self, way: Way) -> dict[str, str]:
        """Return what the server is told of each connection; a pooler is told names and letters.

        Our statements touch few rows, or are short: compiling them took ten times as long.
        """
        name = {"application_name": self._application}
        wait = {"lock_timeout": str(round(self._lock_timeout * 1000))}
        told = name | way.settings
        return told if way.pooled else {**told, **wait, "jit": "off"}

    async def close(self) -> None:
        """Drop every connection; never waits for a server that is gone."""
        for pool in (self._pool, self._keeper):
            if pool is not None:
                pool.terminate()
        self._pool = self._keeper = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection; what the driver raises inside comes out as StoreError."""
        with translated():
            if self._pool is None:
                raise asyncpg.InterfaceError(_SHUT)
            async with self._pool.acquire(timeout=self._timeout) as connection:
                if not self._guarded:
                    yield connection
                    return
                async with guarded(connection, lock_timeout=self._lock_timeout):
                    yield connection

    @asynccontextmanager
    async def connection_for(self, rows: int) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection for statements about so many rows: of few, their plans are kept."""
        if self._keeper is None or rows > _FEW:
            async with self.connection() as connection:
                yield connection
            return
        with translated():
            async with self._keeper.acquire(timeout=self._timeout) as connection:
                await connection.plan_anew()
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection inside a transaction that sees one state of the database and writes
        nothing."""
        with translated():
            if self._pool is None:
                raise asyncpg.InterfaceError(_SHUT)
            async with (
                self._pool.acquire(timeout=self._timeout) as connection,
                guarded(connection, "repeatable_read", readonly=True),
            ):
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection inside a transaction."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, name: str, *args: Any) -> list[asyncpg.Record]:
        """Return the rows of the block `name`."""
        async with self.connection() as connection:
            return list(await connection.fetch(sql(name), *args))

    async def fetchrow(self, name: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row of the block `name`."""
        async with self.connection() as connection:
            return await connection.fetchrow(sql(name), *args)

    async def fetchval(self, name: str, *args: Any) -> Any:
        """Return the first value of the block `name`."""
        async with self.connection() as connection:
            return await connection.fetchval(sql(name), *args)

    async def execute(self, name: str, *args: Any) -> str:
        """Run the block `name` and return its command tag."""
        async with self.connection() as connection:
            return str(await connection.execute(sql(name), *args))


class DatabaseByUse(Database):
    """A pool that is opened when it is first used."""

    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(dsn, **options)
        self._opening = asyncio.Lock()
        self._closed = False

    async def close(self) -> None:
        """Drop every connection, and open none again."""
        self._closed = True
        await super().close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection."""
        await self._opened()
        async with super().connection() as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection inside a transaction that sees one state of the database."""
        await self._opened()
        async with super().snapshot() as connection:
            yield connection

    async def _opened(self) -> None:
        async with self._opening:
            if self._pool is None and not self._closed:
                await self.open()


async def _connect(dsn: str, **options: Any) -> asyncpg.Connection:
    return await first_writable(dsn, lambda host: asyncpg.connect(host, **options))
