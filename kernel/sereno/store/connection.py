"""Opens the kernel's sessions, each with the settings on which its statements depend.

What ``ALTER DATABASE`` or ``ALTER ROLE ... SET`` says is meant for others: with
``synchronous_commit = off`` a crash would take back what a job was begun for, with
``serializable`` ordinary statements fail, with a ``statement_timeout`` of a page's server a
migration does. ``default_transaction_read_only`` alone is left as it is: whoever sets that means
everybody, and is waited for.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from sereno.store.encoding import Encoding
from sereno.store.hosts import first_writable
from sereno.store.sql import sql

SESSION: Mapping[str, str] = {
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",  # the pool's calls have a limit of their own
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "5min",  # what a frozen process may hold up
    "exit_on_error": "off",
    "search_path": "pg_catalog",  # every name of ours is qualified
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
}
"""What every session names, by each server's own names; see also `_LATER`."""

_LATER: Mapping[int, Mapping[str, str]] = {17: {"transaction_timeout": "0"}}
"""What servers know from a version on: others refuse a session that names it."""

GUARDED = ("synchronous_commit", "default_transaction_isolation")
"""What has to be right behind a pooler too, where a session cannot name it: by each transaction."""


def session_settings(version: int = 0) -> dict[str, str]:
    """Return what a session of a server of this major version names; 0: of any version."""
    later = [named for since, named in _LATER.items() if version >= since]
    return {name: value for named in (SESSION, *later) for name, value in named.items()}


class Way(msgspec.Struct, frozen=True):
    """What is between us and the server. `version`: the server's, its major number; `guarded`:
    behind the pooler, a session has another value of what `GUARDED` names than it must have."""

    version: int
    pooled: bool
    guarded: bool
    encoding: Encoding = Encoding("UTF8")

    @property
    def settings(self) -> dict[str, str]:
        """Return what a session may name: a pooler refuses one that names anything."""
        return {} if self.pooled else session_settings(self.version)


async def connect(dsn: str, *, settings: Mapping[str, str], **options: Any) -> asyncpg.Connection:
    """Connect to the host of `dsn` that may be written; `options` are the driver's."""

    async def one(host: str) -> asyncpg.Connection:
        return await asyncpg.connect(host, server_settings=dict(settings), **options)

    return await first_writable(dsn, one)


async def probe(dsn: str, timeout: float) -> Way:
    """Find out what is between us and the server, within so many seconds."""
    connection = await connect(dsn, settings={}, timeout=timeout, statement_cache_size=0)
    try:
        pooled = await is_pooled(connection)
        values = [SESSION[name] for name in GUARDED]
        guarded = pooled and bool(
            await connection.fetchval(sql("session_differs"), list(GUARDED), values)
        )
        version = connection.get_server_version().major
        return Way(version, pooled, guarded, encoding_of(connection))
    finally:
        connection.terminate()


def encoding_of(connection: asyncpg.Connection) -> Encoding:
    """Return the encoding of the database at the other end."""
    return Encoding(str(connection.get_settings().server_encoding))


async def is_pooled(connection: asyncpg.Connection) -> bool:
    """Tell whether a pooler stands between: the key's pid is then not the backend's."""
    return bool(connection.get_server_pid() != await connection.fetchval(sql("backend_pid")))


@asynccontextmanager
async def guarded(
    connection: asyncpg.Connection,
    isolation: str = "read_committed",
    *,
    readonly: bool = False,
    lock_timeout: float = 0.0,
) -> AsyncIterator[None]:
    """Give a transaction that names the settings for itself, as behind a pooler it has to."""
    async with connection.transaction(isolation=isolation, readonly=readonly):
        version = connection.get_server_version().major
        named = {k: v for k, v in session_settings(version).items() if k not in _FIXED}
        named["lock_timeout"] = str(round(lock_timeout * 1000))
        await connection.execute(sql("session_name"), list(named), list(named.values()), True)
        yield


_FIXED = frozenset({"default_transaction_isolation", "default_transaction_deferrable"})
"""Settings of the next transaction, not of one that is under way."""
