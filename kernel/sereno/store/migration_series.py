"""Whose migrations they are, and where they are listed: the kernel's, one plugin's, or those of a
schema that lists them itself."""

from collections.abc import Sequence

import asyncpg
import msgspec

from sereno.model.errors import SchemaError, StoreError, StoreRightsError
from sereno.store.keys import LOCK_CLASS
from sereno.store.migration import Migration
from sereno.store.sql import sql


class Series(msgspec.Struct, frozen=True):
    """The kernel's migrations, and where it is listed which of them a database has."""

    migrations: tuple[Migration, ...]
    schema: str = "sereno"

    def subject(self, name: str) -> str:
        """Return what sentences call the migration `name`."""
        return f"migration {name}"

    @property
    def upgrade(self) -> str:
        """Return what to do about a database that knows more than this code."""
        return "which this version of sereno does not know and cannot work with"

    @property
    def remedy(self) -> str:
        """Return how a person applies what is missing, as an order."""
        return "run 'sereno migrate'"

    async def applied(self, connection: asyncpg.Connection) -> Sequence[asyncpg.Record]:
        """Return number, name and checksum of what the database has."""
        if not (await connection.fetchrow(sql("migration_place")))["listed"]:
            return []
        return list(await connection.fetch(sql("migrations_applied")))

    async def make_place(self, connection: asyncpg.Connection) -> None:
        """Make the schema and its list where they are missing: CREATE is needed once."""
        place = await connection.fetchrow(sql("migration_place"))
        if not place["schema"]:
            await connection.execute(sql("migration_schema"))
        if not place["listed"]:
            await connection.execute(sql("migration_table"))

    async def apply(self, connection: asyncpg.Connection, migration: Migration) -> None:
        """Execute `migration` and list it, in the transaction that is open."""
        await connection.execute(migration.text)
        facts = (migration.number, migration.name, migration.checksum)
        await connection.execute(sql("migration_record"), *facts)

    async def older_nodes(
        self, connection: asyncpg.Connection, migration: Migration
    ) -> Sequence[asyncpg.Record]:
        """Return the nodes that are there and whose code does not know `migration`."""
        return list(await connection.fetch(sql("nodes_older"), LOCK_CLASS, migration.number))


class PluginSeries(Series, frozen=True, kw_only=True):
    """The migrations of `plugin`. The schema is made by the first, or is one that was there."""

    plugin: str

    def subject(self, name: str) -> str:
        """Return what sentences call the migration `name`."""
        return f"migration {name} of plugin '{self.plugin}'"

    @property
    def upgrade(self) -> str:
        """Return what to do about a database that knows more than this code."""
        return f"which this version of plugin '{self.plugin}' does not know and cannot work with"

    async def applied(self, connection: asyncpg.Connection) -> Sequence[asyncpg.Record]:
        """Return what the database has; raises SchemaError when the schema is another plugin's."""
        if not (await connection.fetchrow(sql("migration_place")))["listed"]:
            return []
        rows = await connection.fetch(sql("plugin_migrations_applied"), self.schema)
        for row in rows:
            if row["plugin"] != self.plugin:
                raise SchemaError(
                    f"plugin '{row['plugin']}' has its tables in the schema '{self.schema}'; give "
                    f"plugin '{self.plugin}' another, or, where the two are one that was renamed, "
                    "set sereno.plugin_schema.plugin to its new name"
                )
        return [row for row in rows if row["number"] is not None]

    async def make_place(self, connection: asyncpg.Connection) -> None:
        """Make the schema where it is missing, and list it as this plugin's."""
        listed, there = await connection.fetchrow(sql("plugin_schema_place"), self.schema)
        if listed and not there:  # somebody has dropped it: what it held is gone
            await connection.execute(sql("plugin_schema_forget"), self.schema)
        if not there:
            await connection.execute(
                await connection.fetchval(sql("plugin_schema_make"), self.schema)
            )
        await connection.execute(sql("plugin_schema_list"), self.schema, self.plugin)

    async def apply(self, connection: asyncpg.Connection, migration: Migration) -> None:
        """Execute `migration` with the plugin's schema as where its names are, and list it."""
        await _execute(connection, self, migration)
        facts = (self.schema, migration.number, migration.name, migration.checksum)
        await connection.execute(sql("plugin_migration_record"), *facts)

    async def older_nodes(
        self, connection: asyncpg.Connection, migration: Migration
    ) -> Sequence[asyncpg.Record]:
        """Return the nodes that are there and whose plugin does not know `migration`."""
        facts = (LOCK_CLASS, self.schema, migration.number)
        return list(await connection.fetch(sql("nodes_older_plugin"), *facts))


class OwnSeries(Series, frozen=True, kw_only=True):
    """The migrations of a schema that lists them itself, in a database that need not be the
    kernel's: the list is where the tables are, whoever asks, and goes with them.

    `standing`: numbers of those whose tables are there, made when nobody listed them: listed as
    applied, never executed.
    """

    standing: frozenset[int] = frozenset()

    def subject(self, name: str) -> str:
        """Return what sentences call the migration `name`."""
        return f"migration {name} of schema '{self.schema}'"

    @property
    def upgrade(self) -> str:
        """Return what to do about a database that knows more than this code."""
        return f"which this version does not know, and whose schema '{self.schema}' it cannot use"

    @property
    def remedy(self) -> str:
        """Return how a person applies what is missing, as an order."""
        return "run what needs it"

    async def applied(self, connection: asyncpg.Connection) -> Sequence[asyncpg.Record]:
        """Return number, name and checksum of what the schema lists."""
        if not (await connection.fetchrow(sql("own_place"), self.schema))["listed"]:
            return []
        listed = await connection.fetchval(sql("own_list_read"), self.schema)
        return list(await connection.fetch(listed))

    async def make_place(self, connection: asyncpg.Connection) -> None:
        """Make the schema and its list where they are missing; raises StoreRightsError."""
        there, listed = await connection.fetchrow(sql("own_place"), self.schema)
        missing = [] if there else ["plugin_schema_make"]
        missing += [] if listed else ["own_list_make"]
        try:
            for name in missing:
                await connection.execute(await connection.fetchval(sql(name), self.schema))
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreRightsError(
                f"schema '{self.schema}' has no list of its migrations and this role may not make "
                f"it ({error}); {self.remedy} once as a role that may create tables there"
            ) from error

    async def apply(self, connection: asyncpg.Connection, migration: Migration) -> None:
        """Execute `migration`, unless its tables stand already, and list it."""
        if migration.number not in self.standing:
            await _execute(connection, self, migration)
        added = await connection.fetchval(sql("own_list_add"), self.schema)
        await connection.execute(added, migration.number, migration.name, migration.checksum)


async def _execute(connection: asyncpg.Connection, series: Series, migration: Migration) -> None:
    """Execute a plugin's file, with its schema as where names without one are."""
    await connection.fetchrow(sql("plugin_schema_search"), series.schema)
    before = await connection.fetchval(sql("transaction_number"))
    await connection.execute(migration.text)
    if before != await connection.fetchval(sql("transaction_number")):
        raise StoreError(
            f"{series.subject(migration.name)} ends its transaction, which is not its own "
            "(COMMIT, ROLLBACK); leave that out: what comes before it is kept, and not listed"
        )
