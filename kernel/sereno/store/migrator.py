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
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
import msgspec

from sereno.model.errors import SchemaError, StoreError, StoreRightsError, StoreUnavailableError
from sereno.model.migrations import Migrations
from sereno.store.backend import named
from sereno.store.connection import connect, guarded, probe
from sereno.store.errors import LATER, translated
from sereno.store.keys import MIGRATION_LOCK
from sereno.store.migration import Migration, is_pre, migrations, read_migrations
from sereno.store.migration_series import OwnSeries, PluginSeries, Series
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

    `made`: nothing was there before. `waiting`: *post* ones that are to be asked for. `newer`:
    *pre* ones that this code does not know.
    """

    made: bool
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
        async with _session(dsn) as connection:
            return await _brought_up(connection, Series(migrations()), post)


async def up_to_date(db: Database, series: Series | None = None) -> Migrated | None:
    """Return what `migrate`, or `migrate_plugin` of this `series`, would where it has nothing to
    do; else None.

    A start asks this of the pool first: those need a session of their own, and another to find out
    what is between them and the server.
    """
    asked = series or Series(migrations())
    try:
        async with db.connection() as connection:
            known = await _applied(connection, asked)
            failed = isinstance(asked, PluginSeries) and await connection.fetchval(
                sql("plugin_schema_faulty"), asked.schema
            )
    except SchemaError:
        return None  # they say so, and keep it for who checks
    if failed or _missing(known, False, asked):
        return None
    return _migrated(known, asked, [], made=False)


async def migrate_plugin(dsn: str, series: PluginSeries, *, post: bool = False) -> Migrated:
    """Apply what is missing of a plugin's migrations, once the kernel's are there; as `migrate`.

    What fails is listed with its schema until it has succeeded.
    """
    with translated():
        # A session of its own: what a plugin's file does to it is done to no other's.
        async with _session(dsn) as connection:
            try:
                done = await _brought_up(connection, series, post)
                if await connection.fetchval(sql("plugin_schema_faulty"), series.schema):
                    await connection.execute(sql("plugin_schema_mended"), series.schema)
                return done
            except StoreError as error:
                if not isinstance(error, StoreUnavailableError):
                    await _list_fault(dsn, series, str(error))
                raise


async def apply_migrations(
    connection: asyncpg.Connection, wanted: Migrations, *, standing: Collection[int] = ()
) -> list[str]:
    """Apply what is missing of `wanted` at `connection`, which may be of any database and has no
    transaction open; return the names.

    As at a start: one transaction each, under the migrators' lock, with checksums; listed in the
    schema itself, as `sereno_migration`. `standing`: numbers of those whose tables a version made
    that listed nothing: they are listed, and not executed. All are *pre*: nobody lists there which
    replicas a *post* would have to wait for.

    Raises SchemaError when an applied file was changed, or one is none of *pre*;
    StoreUnavailableError when somebody is in the way; StoreError when one fails; and what the
    driver raises of a connection that is lost.
    """
    files = read_migrations(wanted.package, wanted.folder)
    for one in files:
        if one.post:
            raise SchemaError(
                f"migration {one.name} of schema '{wanted.schema}' is a *post*, and the schema is "
                "made where it is used: nobody lists there which replicas need what it takes away; "
                "write it as a *pre*"
            )
    series = OwnSeries(files, schema=wanted.schema, standing=frozenset(standing))
    return (await _brought_up(connection, series, False)).applied


async def confirm(db: Database) -> None:
    """Raise SchemaError when the schema has become one that this code cannot work on.

    For a node that has just joined: from here on a *post* migration sees it.
    """
    async with db.connection() as connection:
        await _applied(connection, Series(migrations()))


async def check(db: Database) -> None:
    """Raise SchemaError unless the schema is one that this code can work on as it is.

    What a role may not read, as one that may only queue, is taken to fit.
    """
    ours = Series(migrations())
    try:
        async with db.connection() as connection:
            known = await _applied(connection, ours)
    except StoreRightsError:
        return
    if not known:
        raise SchemaError(
            "this database has no schema 'sereno' yet; the first replica that starts on it makes "
            "one (`sereno run`), or `sereno migrate`"
        )
    if missing := _missing(known, False, ours):
        raise SchemaError(
            f"the database is older than this version of sereno: it lacks migration "
            f"{missing[0].name}; start a replica of this version, or run `sereno migrate`"
        )


@asynccontextmanager
async def _session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    way = await probe(dsn, _CONNECT_SECONDS)
    connection = await connect(
        dsn,
        timeout=_CONNECT_SECONDS,
        statement_cache_size=0,
        settings={"application_name": "sereno migrate", **way.encoding.settings},
    )
    try:
        yield connection
    finally:
        connection.terminate()


async def _brought_up(connection: asyncpg.Connection, series: Series, post: bool) -> Migrated:
    applied: list[str] = []
    known = before = await _applied(connection, series)
    while _missing(known, post, series):
        applied += await _apply_next(connection, series, post)
        known = await _applied(connection, series)
    return _migrated(known, series, applied, made=bool(applied) and not before)


def _migrated(
    known: dict[int, asyncpg.Record], series: Series, applied: list[str], *, made: bool
) -> Migrated:
    waiting = [m.name for m in _missing(known, True, series)]
    ours = {m.number for m in series.migrations}
    newer = [row["name"] for number, row in known.items() if number not in ours]
    return Migrated(made=made, applied=applied, waiting=waiting, newer=newer)


async def _list_fault(dsn: str, series: PluginSeries, sentence: str) -> None:
    """Keep why a plugin's migration failed, for `sereno check`, as far as that can be."""
    with suppress(*LATER, asyncpg.PostgresError):
        async with _session(dsn) as connection, guarded(connection):
            facts = (series.schema, series.plugin, sentence)
            await connection.execute(sql("plugin_schema_fault"), *facts)


async def _applied(connection: asyncpg.Connection, series: Series) -> dict[int, asyncpg.Record]:
    """Return what the database has, by number."""
    async with guarded(connection):
        return _fitting(await series.applied(connection), series)


def _fitting(rows: Sequence[asyncpg.Record], series: Series) -> dict[int, asyncpg.Record]:
    """Return `rows` by number; raises SchemaError when this code cannot work on such a schema."""
    known = {row["number"]: row for row in rows}
    ours = {m.number: m for m in series.migrations}
    for number, row in known.items():
        mine = ours.get(number)
        if mine is None and not is_pre(row["name"]):
            raise SchemaError(
                f"the database has migration {row['name']}, {series.upgrade}: it was migrated by "
                "a newer one, for newer ones alone; upgrade this replica"
            )
        if mine is not None and mine.checksum != row["checksum"]:
            raise SchemaError(
                f"{series.subject(mine.name)} was changed after it had been applied to this "
                "database; restore the file as it was and put the change into a new migration"
            )
    return known


def _missing(known: dict[int, asyncpg.Record], post: bool, series: Series) -> list[Migration]:
    """Return what is to be applied, in order; *post* last, for it may need any *pre*."""
    missing = [m for m in series.migrations if m.number not in known and (post or not m.post)]
    return sorted(missing, key=lambda m: (m.post, m.number))


async def _apply_next(connection: asyncpg.Connection, series: Series, post: bool) -> list[str]:
    """Apply the first that is missing, and return its name; nothing, when another was faster."""
    for _ in range(_TRIES):
        try:
            return await _apply_once(connection, series, post)
        except _StoodBackError as error:
            name = str(error)
        await asyncio.sleep(_STAND_BACK)
    async with guarded(connection):
        users = named(await connection.fetch(sql("schema_users"), series.schema))
    raise StoreUnavailableError(
        f"{series.subject(name)} waits for tables that others use: "
        f"{users or 'they have just left'}; {series.remedy} again when they have ended, or "
        "end them: SELECT pg_terminate_backend(pid)"
    )


class _StoodBackError(Exception):
    """A table that a migration needs is in use; `str(error)` is the migration's name."""


async def _apply_once(connection: asyncpg.Connection, series: Series, post: bool) -> list[str]:
    async with _locked(connection):
        await series.make_place(connection)
        known = _fitting(await series.applied(connection), series)
        missing = _missing(known, post, series)
        if not missing:
            return []
        await _apply(connection, series, missing[0])
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


async def _apply(connection: asyncpg.Connection, series: Series, migration: Migration) -> None:
    await connection.fetchrow(sql("migration_limits"), str(_TABLE_PATIENCE_MS))
    subject = series.subject(migration.name)
    try:
        if migration.post:
            await _refuse_beside_older(connection, series, migration)
        await series.apply(connection, migration)
    except _IN_THE_WAY as error:
        raise _StoodBackError(migration.name) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreRightsError(
            f"{subject} is missing and this role may not apply it ({error}); {series.remedy} "
            f"once as the role that owns the schema '{series.schema}'"
        ) from error
    except LATER:
        raise
    except asyncpg.PostgresError as error:
        raise StoreError(
            f"{subject} failed: {error}; nothing of it is kept, those before it "
            f"are: mend the cause and {series.remedy} again"
        ) from error


async def _refuse_beside_older(
    connection: asyncpg.Connection, series: Series, migration: Migration
) -> None:
    """Raise SchemaError while a node is there whose code does not know `migration`.

    None joins meanwhile, and one that joins afterwards looks again once it has.
    """
    await connection.execute(sql("nodes_closed"))
    older = await series.older_nodes(connection, migration)
    if older:
        facts = [f"'{n['label']}' (pid {n['pid']}, version {n['version']})" for n in older[:5]]
        names = ", ".join(facts)
        more = f" and {len(older) - 5} more" if len(older) > 5 else ""
        raise SchemaError(
            f"{series.subject(migration.name)} is refused while replicas of an older version run: "
            f"{names}{more}; stop or upgrade them, then run 'sereno migrate --post' again"
        )
