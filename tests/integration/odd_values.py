"""Plants what PostgreSQL can hold, and Python cannot always, into every column that is read."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import asyncpg
from hypothesis import strategies as st

_DEEP = st.sampled_from([99, 101, 499, 520, 1_000, 5_000]).map(lambda n: "[" * n + "]" * n)
_NUMBER = st.sampled_from(
    ["1e400", "-1e5000", "1e130000", "0.5", "1" + "0" * 30, "1e-16000", "2e308"]
)
_TEXT = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    st.sampled_from(["", " ", "\x1b[2J", "😀/\u202e", "%s{x}", "null", "P", "PT", "P9" * 40]),
    st.integers(1_000, 60_000).map(lambda n: "x" * n),
)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0xD800 else "?" for c in text[:40]) + '"'


_JSON = st.one_of(
    st.sampled_from(
        ["null", "true", "{}", "[]", "0", '""', '{"version": "x", "at": 7, "rules": []}']
    ),
    st.sampled_from(["timeout", "grace", "priority", "overlap", "retry", "facts", "slots"]).flatmap(
        lambda key: st.one_of(_NUMBER, _DEEP, _TEXT.map(_quoted)).map(lambda v: f'{{"{key}": {v}}}')
    ),
    _DEEP,
    _NUMBER,
    _TEXT.map(_quoted),
)
_INSTANT = st.one_of(
    st.sampled_from(
        [
            *("infinity", "-infinity", "294276-12-31T23:59:59.999999Z", "4713-01-01T00:00:00Z BC"),
            *("9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"),
        ]
    ),
    st.datetimes().map(lambda d: d.isoformat() + "Z"),
)
_INTERVAL = st.one_of(
    st.sampled_from(["178000000 years", "-178000000 years", "0", "-1 us", "1 mon -3 days 4 s"]),
    st.integers(-(10**12), 10**12).map(lambda n: f"{n} s"),
)
STRATEGIES: dict[str, st.SearchStrategy[str]] = {
    "timestamp with time zone": _INSTANT,
    "interval": _INTERVAL,
    "jsonb": _JSON,
    "text": _TEXT,
}

_BYTES = st.binary(min_size=1, max_size=40).map(
    lambda found: found.replace(b"\0", b"\xff").decode("utf-8", "surrogateescape")
)
BYTES: dict[str, st.SearchStrategy[str]] = {
    "jsonb": _BYTES.map(lambda text: '"' + re.sub(r'[\x00-\x1f"\\]', "?", text) + '"'),
    "text": _BYTES,
}
"""What a database in SQL_ASCII holds beside them; what is no UTF-8 is a lone surrogate here."""

_COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
 WHERE c.table_schema = 'sereno' AND c.data_type = ANY ($1::text[]) AND c.table_name <> 'migration'
   AND (c.table_name <> 'timeline' OR c.data_type <> 'text')  -- it tells clusters apart
   AND c.is_generated = 'NEVER' ORDER BY 1, 2
"""

_SCHEDULE = """
INSERT INTO sereno.schedule (name, job, origin, declared) VALUES ('t.odd@' || $1, 't.odd', 'user',
    '{"trigger": "every 1s", "params": {}, "policies": {}, "enabled": true}') RETURNING id
"""
_OF_SCHEDULE = (
    """INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state, trigger,
           params, policies, changed_by)
       VALUES ($1, 1, now() - interval '1 min', 'active', 'every 1s', '{}', '{}', 'me')""",
    """INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at)
       VALUES ($1, 't.odd', now(), now(), now())""",
    """INSERT INTO sereno.slot (schedule_id, slot, verdict, term)
       VALUES ($1, now() - interval '1 h', 'missed', 1)""",
    """INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict, term)
       VALUES ($1, now() - interval '3 h', now() - interval '2 h', 9, 'missed', 1)""",
    """INSERT INTO sereno.run (job, cause, state, params, finished_at, started_at, attempt,
           schedule_id, slot)
       SELECT 't.odd', 'slot', s, '{}', now(), now(), 1, $1, now() - interval '4 h'
         FROM unnest('{queued,queued,failed,succeeded,lost}'::text[]) s""",
)
_OF_RUN = (
    "INSERT INTO sereno.attempt (run_id, attempt, state) VALUES ($1, 0, 'failed')",
    """INSERT INTO sereno.run_progress (run_id, done, total, checkpoint)
       VALUES ($1, 'NaN', 'Infinity', '1')""",
    "INSERT INTO sereno.cancel_request (run_id, requested_by) VALUES ($1, 'me')",
    """INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)
       VALUES ($1, 1, 1, now(), 'info', 'x', 'y')""",
    """INSERT INTO sereno.run_warning (run_id, attempt, number, message, times)
       VALUES ($1, 1, 0, 'y', 1), ($1, 1, 1, 'z', 9223372036854775807)""",
)
_ALONE = (
    """INSERT INTO sereno.chain_arrival (downstream, upstream, run_id)
       VALUES ('t.odd', 'u' || $1, 1)""",
    """INSERT INTO sereno.notification (key, notifier, kind, severity, open, message, due_at, job)
       VALUES ('job_overdue ' || $1, 't', 'job_overdue', 'info', true, '{}', now(), 't.odd')""",
    "INSERT INTO sereno.overdue (job, severity) VALUES ('t.gone' || $1, 'info')",
    """INSERT INTO sereno.change (by, subject, action, before, after)
       VALUES ('me', 'x' || $1, 'drift', '[]', '[]')""",
    """INSERT INTO sereno.node (id, label, pid, version)
       VALUES (gen_random_uuid(), 'n' || $1, 1, '0')""",
    "INSERT INTO sereno.job (name, plugin, policies) VALUES ('t.gone' || $1, 'tests', '{}')",
    "INSERT INTO sereno.job_stat (job) VALUES ('t.gone' || $1)",
)
_KEPT = {
    "job": "name NOT IN ('t.healthy', 't.odd')",
    "job_stat": "job NOT IN ('t.healthy', 't.odd')",
    "schedule": "name LIKE 't.odd@%'",
    "schedule_version": "changed_by <> 'the code'",
    "watermark": "job <> 't.healthy'",
    "slot": "run_id IS NULL",
    "run": "job <> 't.healthy' AND state <> 'running'",
    "leadership": "false",  # its lock is the heartbeat's
    "term": "ended_at IS NOT NULL",
    "node": "pid = 1",
    "catalogue": "false",
}
"""Of tables that hold the healthy job as well, the rows that are not its own."""


async def plant(
    connection: asyncpg.Connection,
    draw: Callable[[Any], Any],
    number: int,
    strategies: Mapping[str, st.SearchStrategy[str]] = STRATEGIES,
) -> int:
    """Write rows of the job `t.odd` and drawn values into each of their columns; return how many
    values were taken."""
    schedule = await connection.fetchval(_SCHEDULE, str(number))
    for statement in _OF_SCHEDULE:
        await connection.execute(statement, schedule)
    run = await connection.fetchval("SELECT max(id) FROM sereno.run WHERE job = 't.odd'")
    for statement in _OF_RUN:
        await connection.execute(statement, run)
    for statement in _ALONE:
        await connection.execute(statement, str(number))
    taken = 0
    for table, column, kind in await connection.fetch(_COLUMNS, list(strategies)):
        where = _KEPT.get(table, "true")
        with suppress(*_REFUSED):
            async with connection.transaction():
                await connection.execute(
                    f"UPDATE sereno.{table} SET {column} = convert_from("
                    f"$1, current_setting('server_encoding'))::{kind} WHERE ctid IN ("
                    f"SELECT ctid FROM sereno.{table} WHERE {where} ORDER BY random() LIMIT 2)",
                    draw(strategies[kind]).encode("utf-8", "surrogateescape"),
                )
                taken += 1
    return taken


_REFUSED = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
)
"""A state that there is not, a key that is taken, an instant that there is not: no row holds it."""
