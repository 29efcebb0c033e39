"""The tables of plugins, made as a node makes them at its start."""

from sereno.app.plugin_tables import LIMIT, tables_made
from sereno.plugins import Registry

from .metrics_scene import opened


async def tables_at(dsn: str, registry: Registry, limit: float = LIMIT) -> Registry:
    """Have a node's start make what is missing at `dsn`; return `registry` without those that
    failed."""
    async with opened(dsn, size=1) as db:
        return await tables_made(db, registry, limit)
