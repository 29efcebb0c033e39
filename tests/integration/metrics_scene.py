"""Puts jobs, schedules, runs and slots into a database, as the kernel would have left them.

Instants are SQL: expressions that Postgres computes from its own clock.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sereno.store.pool import Database


@asynccontextmanager
async def opened(dsn: str, **options: Any) -> AsyncIterator[Database]:
    database = Database(dsn, **options)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def run_sql(database: Database, statement: str, *args: Any) -> None:
    async with database.connection() as connection:
        await connection.execute(statement, *args)


async def add_job(
    database: Database,
    name: str = "etl.sync",
    *,
    plugin: str = "etl",
    policies: str = '{"grace": "PT60S"}',
    overdue_after: str = "NULL",
    severity: str = "warning",
    registered_at: str = "now() - interval '30 days'",
    after: str = "'{}'",
    **stat: str,
) -> None:
    """Declare a job; `stat`: columns of its counts as SQL."""
    columns = "".join(f", {column}" for column in stat)
    values = "".join(f", {value}" for value in stat.values())
    await run_sql(
        database,
        f"INSERT INTO sereno.job (name, plugin, policies, overdue_after, severity, registered_at,"
        f" after) VALUES ('{name}', '{plugin}', '{policies}', {overdue_after}, '{severity}',"
        f" {registered_at}, {after}); INSERT INTO sereno.job_stat (job{columns})"
        f" VALUES ('{name}'{values})",
    )


async def add_schedule(
    database: Database,
    job: str = "etl.sync",
    *,
    label: str = "",
    state: str = "active",
    next_slot: str | None = None,
    policies: str = "{}",
    created_at: str = "now() - interval '30 days'",
) -> None:
    name = f"{job}@{label}" if label else job
    if next_slot is None:
        next_slot = "now() + interval '1 hour'" if state == "active" else "NULL::timestamptz"
    await run_sql(
        database,
        f"WITH s AS (INSERT INTO sereno.schedule (name, job, origin, declared, state, created_at)"
        f" VALUES ('{name}', '{job}', 'plugin', '{{}}', '{state}', {created_at}) RETURNING id),"
        f" v AS (INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state,"
        f" trigger, params, policies, changed_at, changed_by)"
        f" SELECT id, 1, {created_at}, '{state}', 'every 1h', '{{}}', '{policies}', {created_at},"
        f" 'test' FROM s)"
        f" INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at, grace,"
        f" due_by) SELECT id, '{job}', now(), {next_slot}, {next_slot}, g, {next_slot} + g"
        f" FROM s, sereno.grace('{policies}') g",
    )


async def change_state(database: Database, schedule: str, state: str, at: str) -> None:
    """Pause or resume, as a person did at `at`."""
    await run_sql(
        database,
        f"WITH s AS (UPDATE sereno.schedule SET state = '{state}', version = version + 1,"
        f" resumed_at = CASE '{state}' WHEN 'active' THEN {at} ELSE resumed_at END"
        f" WHERE name = '{schedule}' RETURNING id, version),"
        f" w AS (UPDATE sereno.watermark SET next_slot = CASE '{state}' WHEN 'active' THEN wake_at"
        f" END FROM s WHERE schedule_id = s.id)"
        f" INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state, trigger,"
        f" params, policies, changed_at, changed_by) SELECT id, version, {at}, '{state}',"
        f" 'every 1h', '{{}}', '{{}}', {at}, 'test' FROM s",
    )


async def add_slot(
    database: Database, schedule: str, slot: str, verdict: str = "ran", reason: str = "NULL"
) -> None:
    await run_sql(
        database,
        f"INSERT INTO sereno.slot (schedule_id, slot, verdict, reason, term)"
        f" SELECT id, {slot}, '{verdict}', {reason}, 1 FROM sereno.schedule"
        f" WHERE name = '{schedule}'",
    )
