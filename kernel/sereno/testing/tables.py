"""Makes a plugin's tables in the database of a test."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sereno.store.migrator import migrate, migrate_plugin
from sereno.testing.declared import declared


async def make_tables(
    plugin: Any,
    database_url: str,
    settings: Mapping[str, Any] | msgspec.Struct | None = None,
    *,
    name: str = "plugin",
) -> list[str]:
    """Apply the kernel's migrations and those of `plugin` (its module), the *post* ones too.

    Returns the names of the plugin's that were applied. `name`: whose the schema is from then on;
    a test that starts replicas on it gives the plugin's own. Raises what a start would log.
    """
    await migrate(database_url)
    applied: list[str] = []
    for series in declared(plugin, settings).migrations.values():
        named = msgspec.structs.replace(series, plugin=name)
        applied += (await migrate_plugin(database_url, named, post=True)).applied
    return applied
