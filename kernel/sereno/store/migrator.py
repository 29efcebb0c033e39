"""Brings the schema to what this code needs, in two steps, one migration at a time.

Files are ``NNNN_{pre|post}_<what>.sql``. *pre* is safe while replicas of the version before run:
it is applied by whoever starts first. *post* takes away what only they needed: it is applied when a
person asks for it, and refused while one of them is there.

    a file of ours that is missing   *pre*: applied at every start; *post*: when asked for
    one that we do not know          *pre*: made for us too, and worked with; *post*: refused
    one that differs from ours       refused

Each is applied in a transaction of its own, which holds an advisory lock and looks again at what is
missing once it has it: so it does not matter who is killed where, how many migrate at once, and
whether a pooler stands between. Where nothing is missing nothing is locked, and reading is all that
a role must be allowed. Every wait is bounded, and who is in the way is named.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from sereno.model.errors import SchemaError, StoreError, StoreRightsError, StoreUnavailableError
from sereno.store.backend import named
from sereno.store.connection import connect, guarded, probe
from sereno.store.errors import LATER, translated
from sereno.store.keys import LOCK_CLASS, MIGRATION_LOCK
from sereno.store.migration import Migration, is_pre, migrations
from sereno.store.pool import Database
from sereno.store.sql import sql

_CONNECT_SECONDS = 10.0

_LOCK_PATIENCE_MS = 10_000
"""How long another may hold the migrators' lock before it is named."""

_TABLE_PATIENCE_MS = 2_000
"""How long a table may be in use before a migration stands back: all that come after it for the
same table wait for it, replicas at work among them."""

_TRIES = 5
"""How often a migration stands back before whoever uses the table is named."""

_STAND_BACK = 1.0
"""Seconds for which those who waited behind it go first."""

_IN_THE_WAY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """What a call did and found, names of files by number.

    `waiting`: *post* ones that are to be asked for. `newer`: *pre* ones that this code does not
    know.
    """

    applied: list[str]
    waiting: list[str]
    newer: list[str]


async def migrate(dsn: str, *, post: bool = False) -> Migrated:
    """Apply what is missing at `dsn`, the *post* migrations only if asked for.

    Raises SchemaError when an applied file has another checksum, when the database had a *post*
    migration that we do not know, when one fails, and when one is asked for while an older node is
    there; StoreUnavailableError when there is no database, or somebody is in the way.
    """
    with translated():
        way = await probe(dsn, _CONNECT_SECONDS)
        connection = await connect(
            dsn,
            timeout=_CONNECT_SECONDS,
            statement_cache_size=0,
            settings={"application_name": "sereno migrate", **way.encoding.settings},
        )
        try:
            applied: list[str] = []
            while (known := await _applied(connection)) is None or _missing(known, post):
                applied += await _apply_next(connection, post)
            waiting = [m.name for m in _missing(known, post=True)]
            ours = {m.number for m in migrations()}
            newer = [row["name"] for number, row in known.items() if number not in ours]
            return Migrated(applied=applied, waiting=waiting, newer=newer)
        finally:
            connection.terminate()


async def confirm(db: Database) -> None:
    """Raise SchemaError when the schema has become one that this code cannot work on.

    For a node that has just joined: from here on a *post* migration sees it.
    """
    async with db.connection() as connection:
        await _applied(connection)


async def check(db: Database) -> None:
    """Raise SchemaError unless the schema is one that this code can work on as it is.

    What a role may not read, as one that may only queue, is taken to fit.
    """
    try:
        async with db.connection() as connection:
            known = await _applied(connection)
    except StoreRightsError:
        return
    if known is None:
        raise SchemaError(
            "this database has no schema 'sereno' yet; the first replica that starts on it makes "
            "one (`sereno run`), or `sereno migrate`"
        )
    if missing := _missing(known, post=False):
        raise SchemaError(
            f"the database is older than this version of sereno: it lacks migration "
            f"{missing[0].name}; start a replica of this version, or run `sereno migrate`"
        )


async def _applied(connection: asyncpg.Connection) -> dict[int, asyncpg.Record] | None:
    """Return what the database has, by number; None, when nobody has migrated it yet."""
    async with guarded(connection):
        if not (await connection.fetchrow(sql("migration_place")))["listed"]:
            return None
        return _fitting(await connection.fetch(sql("migrations_applied")))


def _fitting(rows: list[asyncpg.Record]) -> dict[int, asyncpg.Record]:
    """Return `rows` by number; raises SchemaError when this code cannot work on such a schema."""
    known = {row["number"]: row for row in rows}
    ours = {m.number: m for m in migrations()}
    for number, row in known.items():
        mine = ours.get(number)
        if mine is None and not is_pre(row["name"]):
            raise SchemaError(
                f"the database has migration {row['name']}, which this version of sereno does not "
                "know and cannot work with: it was migrated by a newer one, for newer ones alone; "
                "upgrade this replica"
            )
        if mine is not None and mine.checksum != row["checksum"]:
            raise SchemaError(
                f"migration {mine.name} was changed after it had been applied to this database; "
                "restore the file as it was and put the change into a new migration"
            )
    return known


def _missing(known: dict[int, asyncpg.Record], post: bool) -> list[Migration]:
    """Return what is to be applied, in order; *post* last, for it may need any *pre*."""
    missing = [m for m in migrations() if m.number not in known and (post or not m.post)]
    return sorted(missing, key=lambda m: (m.post, m.number))


async def _apply_next(connection: asyncpg.Connection, post: bool) -> list[str]:
    """Apply the first that is missing, and return its name; nothing, when another was faster."""
    for _ in range(_TRIES):
        try:
            return await _apply_once(connection, post)
        except _StoodBackError as error:
            name = str(error)
        await asyncio.sleep(_STAND_BACK)
    async with guarded(connection):
        users = named(await connection.fetch(sql("schema_users")))
    raise StoreUnavailableError(
        f"migration {name} waits for tables that others use: {users or 'they have just left'}; run "
        "'sereno migrate' again when they have ended, or end them: SELECT pg_terminate_backend(pid)"
    )


class _StoodBackError(Exception):
    """A table that a migration needs is in use; `str(error)` is the migration's name."""


async def _apply_once(connection: asyncpg.Connection, post: bool) -> list[str]:
    async with _locked(connection):
        await _make_place(connection)
        known = _fitting(await connection.fetch(sql("migrations_applied")))
        missing = _missing(known, post)
        if not missing:
            return []
        await _apply(connection, missing[0])
        return [missing[0].name]


@asynccontextmanager
async def _locked(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Open a transaction that holds the migrators' lock; name who holds it for too long."""
    try:
        async with guarded(connection):
            await connection.fetchrow(sql("migration_limits"), str(_LOCK_PATIENCE_MS))
            try:
                await connection.fetchrow(sql("migration_lock"), MIGRATION_LOCK)
            except asyncpg.LockNotAvailableError as error:
                raise _HeldError from error
            yield
    except _HeldError as error:
        async with guarded(connection):
            holders = named(await connection.fetch(sql("migration_lock_holders"), MIGRATION_LOCK))
        raise StoreUnavailableError(
            f"the migrators' lock is held by {holders or 'one that has just left'}; "
            "when that is no migration under way, end it: SELECT pg_terminate_backend(pid)"
        ) from error


class _HeldError(Exception):
    """Another holds the migrators' lock."""


async def _make_place(connection: asyncpg.Connection) -> None:
    """Make the schema and its list of migrations where they are missing: CREATE is needed once."""
    place = await connection.fetchrow(sql("migration_place"))
    if not place["schema"]:
        await connection.execute(sql("migration_schema"))
    if not place["listed"]:
        await connection.execute(sql("migration_table"))


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.fetchrow(sql("migration_limits"), str(_TABLE_PATIENCE_MS))
    try:
        if migration.post:
            await _refuse_beside_older(connection, migration)
        await connection.execute(migration.text)
        facts = (migration.number, migration.name, migration.checksum)
        await connection.execute(sql("migration_record"), *facts)
    except _IN_THE_WAY as error:
        raise _StoodBackError(migration.name) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreRightsError(
            f"migration {migration.name} is missing and this role may not apply it ({error}); run "
            "'sereno migrate' once as the role that owns the schema 'sereno'"
        ) from error
    except LATER:
        raise
    except asyncpg.PostgresError as error:
        raise StoreError(
            f"migration {migration.name} failed: {error}; nothing of it is kept, those before it "
            "are: mend the cause and run 'sereno migrate' again"
        ) from error


async def _refuse_beside_older(connection: asyncpg.Connection, migration: Migration) -> None:
    """Raise SchemaError while a node is there whose code does not know `migration`.

    None joins meanwhile, and one that joins afterwards looks again once it has.
    """
    await connection.execute(sql("nodes_closed"))
    older = await connection.fetch(sql("nodes_older"), LOCK_CLASS, migration.number)
    if older:
        facts = [f"'{n['label']}' (pid {n['pid']}, version {n['version']})" for n in older[:5]]
        names = ", ".join(facts)
        more = f" and {len(older) - 5} more" if len(older) > 5 else ""
        raise SchemaError(
            f"migration {migration.name} is refused while replicas of an older version run: "
            f"{names}{more}; stop or upgrade them, then run 'sereno migrate --post' again"
        )
