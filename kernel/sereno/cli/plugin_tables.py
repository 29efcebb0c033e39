"""What `check`, `plugins` and `migrate` tell of plugins and the database."""

import asyncio
from datetime import timedelta
from typing import Any

from sereno.cli.invocation import Invocation
from sereno.cli.output import write
from sereno.cli.query import ask_database
from sereno.cli.refusals import refused_here
from sereno.model.errors import SchemaError, SerenoError, StoreError, StoreUnavailableError
from sereno.settings import redact
from sereno.store.inspection import Inspection, inspect, usual_durations
from sereno.store.messages import Unheard, unheard
from sereno.store.migrator import migrate_plugin
from sereno.store.orphans import (
    OrphanedRuns,
    OrphanedSchedules,
    orphaned_runs,
    orphaned_schedules,
    run_orphans,
    schedule_orphans,
)
from sereno.store.plugin_schemas import PluginSchema, orphans, plugin_schemas
from sereno.store.pool import Database
from sereno.store.refusals import Refusal, refused

_Answer = tuple[
    list[PluginSchema],
    dict[str, Refusal],
    Unheard,
    list[OrphanedSchedules],
    list[OrphanedRuns],
    Inspection | None,
    dict[str, timedelta],
]

_PATIENCE = 5.0
"""Seconds that a database has to answer `sereno check`, which does without one."""


def database_facts(invocation: Invocation) -> dict[str, Any]:
    """Return what the database knows of plugins: `asked`, `why` it was not, `faults` of installed
    plugins' tables and `orphans`, tables, schedules and queued runs, in sentences; and `refused`:
    why, by plugin, of those whose declarations it did not take; and how many messages of jobs are
    `unheard`; what its server and role are, `inspection`, and how long runs of jobs take, `usual`.

    An embedded PostgreSQL is not started for it.
    """
    told: dict[str, Any] = {"asked": False, "why": None, "faults": [], "orphans": []}
    told |= {"refused": {}, "unheard": None, "inspection": None, "usual": {}}
    if invocation.is_embedded and not _runs(invocation):
        return told

    async def question(db: Database) -> _Answer:
        async with asyncio.timeout(_PATIENCE):
            idle = await orphaned_schedules(db, invocation.registry.jobs)
            left = await orphaned_runs(db, invocation.registry.jobs)
            seen = await inspect(db, invocation.settings.leader_database_url)
            usual = await usual_durations(db)
            schemas, refusals = await plugin_schemas(db), await refused(db)
            return schemas, refusals, await unheard(db), idle, left, seen, usual

    try:
        found, refusals, silent, idle, left, seen, usual = ask_database(invocation, question)
    except SchemaError:
        told["why"] = "it has no schema of this version yet: `sereno migrate`"
        return told
    except TimeoutError:
        told["why"] = f"it gave no answer within {_PATIENCE:g} s"
        return told
    except StoreError as error:
        told["why"] = redact(str(error))
        return told
    told["asked"] = True
    told["refused"] = refused_here(invocation.registry, refusals)
    told["faults"] = [
        f"plugin '{schema.plugin}': {redact(schema.fault)}"
        for schema in found
        if schema.fault is not None and schema.plugin in invocation.registry.migrations
    ]
    unasked = _unasked(invocation)
    told["orphans"] = [*schedule_orphans(idle, unasked), *run_orphans(left, unasked)]
    told["orphans"] += _orphans(invocation, found)
    told["unheard"] = silent
    told["inspection"], told["usual"] = seen, usual
    return told


def _runs(invocation: Invocation) -> bool:
    try:
        return bool(invocation.embedded.is_running())
    except SerenoError:  # as where this user may run none: `sereno run` will tell
        return False


def _orphans(invocation: Invocation, found: list[PluginSchema]) -> list[str]:
    return list(orphans(found, invocation.registry.migrations, _unasked(invocation)))


def _unasked(invocation: Invocation) -> list[str]:
    records = invocation.registry.records
    return [name for name, record in records.items() if record.state != "loaded"]


def migrate_plugins(invocation: Invocation, post: bool) -> dict[str, Any]:
    """Apply every plugin's migrations; return `plugins` (by name: `applied`, `waiting`, `newer`),
    `faults` and `orphans`, in sentences. One that fails stops no other."""
    done: dict[str, Any] = {"plugins": {}, "faults": []}
    for plugin, series in invocation.registry.migrations.items():
        try:
            schema = asyncio.run(migrate_plugin(invocation.database_url, series, post=post))
        except StoreUnavailableError as error:
            done["faults"].append(f"plugin '{plugin}': {redact(str(error))}")
        except StoreError as error:
            done["faults"].append(redact(str(error)))
        else:
            done["plugins"][plugin] = schema
    done["orphans"] = _orphans(invocation, ask_database(invocation, plugin_schemas))
    return done


def write_plugins(done: dict[str, Any]) -> None:
    """Write what `migrate_plugins` did and found beside faults."""
    for plugin, schema in done["plugins"].items():
        for name in schema.applied:
            write(f"applied {name} of plugin '{plugin}'")
        for name in schema.newer:
            write(f"{name} of plugin '{plugin}' is there, of a newer version", wrap=True)
        if schema.waiting:
            write(
                f"{', '.join(schema.waiting)} of plugin '{plugin}' still to be applied: "
                "`sereno migrate --post`, once no replica of an older version is needed",
                wrap=True,
            )
