"""Opens the kernel's sessions, each with the settings on which its statements depend.

What ``ALTER DATABASE`` or ``ALTER ROLE ... SET`` says is meant for others: with
``synchronous_commit = off`` a crash would take back what a job was begun for, with
``serializable`` ordinary statements fail, with a ``statement_timeout`` of a page's server a
migration does. ``default_transaction_read_only`` alone is left as it is: whoever sets that means
everybody, and is waited for.

A session names them as it connects: with ``statement_timeout = 1`` there is no statement before it.
A pooler refuses whoever names them: there each transaction does, where it has to.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from sereno.store.builtin_types import TypedConnection
from sereno.store.encoding import Encoding, of_the_driver
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
"""What has to be right behind a pooler too, where a session cannot name it: by each transaction. So
have the limits of a statement and of its wait for a lock."""


def session_settings(version: int = 0) -> dict[str, str]:
    """Return what a session of a server of this major version names; 0: of any version."""
    later = [named for since, named in _LATER.items() if version >= since]
    return {name: value for named in (SESSION, *later) for name, value in named.items()}


class Way(msgspec.Struct, frozen=True):
    """What is between us and the server. `version`: the server's, its major number; `guarded`:
    behind the pooler, a session has another value of what `GUARDED` names, or another limit, than
    it must have."""

    version: int
    pooled: bool
    guarded: bool
    encoding: Encoding = Encoding("UTF8")

    @property
    def settings(self) -> dict[str, str]:
        """Return what a session may name: a pooler refuses one that names more."""
        return self.encoding.settings | ({} if self.pooled else session_settings(self.version))


async def connect(
    dsn: str, *, settings: Mapping[str, str] | None = None, **options: Any
) -> asyncpg.Connection:
    """Connect to the host of `dsn` that may be written, with `SESSION` and `settings`, behind a
    pooler with `settings` alone; `options` are the driver's."""
    of_the_driver()
    wanted = dict(settings or {})
    options.setdefault("connection_class", TypedConnection)

    async def one(host: str) -> asyncpg.Connection:
        named = session_settings(_versions.get(host, 0)) | wanted
        try:
            found = await asyncpg.connect(host, server_settings=named, **options)
        except _REFUSED:
            found = await asyncpg.connect(host, server_settings=wanted, **options)
        _versions[host] = found.get_server_version().major
        return found

    return await first_writable(dsn, one)


_REFUSED = (asyncpg.ProtocolViolationError, asyncpg.UndefinedObjectError)
"""How a pooler, or an older server than the one that was there, answers who names a setting."""

_versions: dict[str, int] = {}
"""By URL of a host, its server's major version when it was last connected with: it refuses whoever
names what a later one knows."""


async def probe(dsn: str, timeout: float, lock_timeout: float = 0.0) -> Way:
    """Find out what is between us and the server, within so many seconds for a connection.

    `timeout`, `lock_timeout`: also what statements are to have, 0 of the second: as long.
    """
    known = set(_versions)
    try:
        return await _probe(dsn, timeout, lock_timeout)
    except (asyncpg.PostgresConnectionError, asyncpg.InternalClientError):
        if known.issuperset(_versions):
            raise
    # A limit that its version alone has may have ended it: it is named from now on.
    return await _probe(dsn, timeout, lock_timeout)


async def _probe(dsn: str, timeout: float, lock_timeout: float) -> Way:
    connection = await connect(dsn, timeout=timeout, statement_cache_size=0)
    try:
        return await _way(connection, timeout, lock_timeout)
    finally:
        connection.terminate()


async def _way(connection: asyncpg.Connection, timeout: float, lock_timeout: float) -> Way:
    pooled = await is_pooled(connection)
    values = [SESSION[name] for name in GUARDED]
    limits = [round(seconds * 1000) for seconds in (timeout, lock_timeout)]
    guarded = pooled and bool(
        await connection.fetchval(sql("session_differs"), list(GUARDED), values, *limits)
    )
    version = connection.get_server_version().major
    return Way(version, pooled, guarded, encoding_of(connection))


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
