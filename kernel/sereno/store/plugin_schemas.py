"""Reads which plugins have tables in the database, and tells what they left behind."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from sereno.store.migration_series import PluginSeries
from sereno.store.pool import Database


class PluginSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A schema of a plugin. `migrations`: names of what is applied. `fault`: why the one that was
    tried last failed. `there`: the schema itself is."""

    name: str
    plugin: str
    fault: str | None
    fault_at: datetime | None
    there: bool
    migrations: list[str]


async def plugin_schemas(db: Database) -> list[PluginSchema]:
    """Return what is listed, by name; raises StoreError."""
    return [PluginSchema(**dict(row)) for row in await db.fetch("plugin_schemas")]


def orphans(
    found: Sequence[PluginSchema], known: Mapping[str, PluginSeries], unasked: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for each schema, and migration, that no installed plugin has any more.

    `known`: by plugin. `unasked`: plugins that are installed and have told nothing, as they failed
    or are disabled.
    """
    for schema in found:
        if not schema.there or schema.plugin in unasked:
            continue
        count = f"{len(schema.migrations)} migration{'s' * (len(schema.migrations) != 1)}"
        remedy = f"install it again, or drop what it kept: DROP SCHEMA {schema.name} CASCADE"
        series = known.get(schema.plugin)
        if series is None:
            yield (
                f"schema '{schema.name}' ({count}) is orphaned: plugin '{schema.plugin}' is not "
                f"installed, or has no tables any more; {remedy}"
            )
        elif series.schema != schema.name:
            yield (
                f"schema '{schema.name}' ({count}) is orphaned: plugin '{schema.plugin}' has its "
                f"tables in '{series.schema}' by now; when nothing of it is needed: DROP SCHEMA "
                f"{schema.name} CASCADE"
            )
        else:
            ours = {m.name for m in series.migrations}
            for name in schema.migrations:
                if name not in ours:
                    yield (
                        f"migration {name} of schema '{schema.name}' is orphaned: plugin "
                        f"'{schema.plugin}' as it is installed here does not know it, as an older "
                        "version does not"
                    )
