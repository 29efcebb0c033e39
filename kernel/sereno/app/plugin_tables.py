"""Makes plugins' tables at a node's start: whose migrations fail is failed alone, and the others go
on."""

import asyncio
import logging

import msgspec

from sereno.engine.backoff import Backoff
from sereno.model.errors import StoreError, StoreRightsError, StoreUnavailableError
from sereno.plugins import Registry
from sereno.settings import redact
from sereno.store.migration_series import PluginSeries
from sereno.store.migrator import Migrated, migrate_plugin, up_to_date
from sereno.store.pool import Database

log = logging.getLogger("sereno.kernel")

LIMIT = 60.0
"""Seconds for which one plugin's migrations may hold up a start: a lead may wait for it."""


async def tables_made(db: Database, registry: Registry, limit: float = LIMIT) -> Registry:
    """Apply the *pre* migrations of every plugin where `db` is connected; return `registry` without
    those that failed."""
    reasons = {}
    for plugin, series in registry.migrations.items():
        try:
            async with asyncio.timeout(limit):
                schema = await _patiently(db, series)
        except TimeoutError:
            reasons[plugin] = (
                f"its migrations took longer than {limit:g} s; `sereno migrate` waits for as long "
                "as they take, then start this replica again"
            )
        except StoreError as error:
            reasons[plugin] = redact(str(error))
        else:
            _log_schema(plugin, schema)
    for plugin, reason in reasons.items():
        told = "a plugin's tables cannot be made, the others run"
        log.error(told, extra={"plugin": plugin, "reason": reason})
    # The files are read and done with: a replica need not keep them.
    return msgspec.structs.replace(registry.without(reasons), migrations={})


def log_applied(schema: Migrated, made: str, **facts: str) -> None:
    """Log which migrations were applied: of a new schema in the one line `made`."""
    if schema.made:
        log.info(made, extra={**facts, "migrations": len(schema.applied)})
    else:
        for name in schema.applied:
            log.info("migrated", extra={**facts, "migration": name})


def _log_schema(plugin: str, schema: Migrated) -> None:
    log_applied(schema, "a plugin's tables are made", plugin=plugin)
    if schema.waiting:
        told = "migrations wait for 'sereno migrate --post'"
        log.info(told, extra={"plugin": plugin, "migrations": schema.waiting})


async def _patiently(db: Database, series: PluginSeries) -> Migrated:
    """Wait for a database that is away for a moment, and for another who migrates."""
    backoff = Backoff()
    end = asyncio.get_running_loop().time() + LIMIT / 2
    while True:
        try:
            return await up_to_date(db, series) or await migrate_plugin(db.dsn, series)
        except StoreRightsError:
            raise  # waiting mends no grant
        except StoreUnavailableError:
            if asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(backoff.wait())
