"""Makes a long history in SQL for benchmarks/console.py: schedules, runs, slots, lines, changes."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.console_plugin import JOBS
from benchmarks.rig.server import execute
from benchmarks.scale import NUMBERED, ROOMY, WITH, WITHOUT

SLICE = 1_000_000
SCHEDULES = (
    """
INSERT INTO sereno.schedule (name, job, origin, declared)
SELECT 'bench.j' || n %% %s || '@n' || n, 'bench.j' || n %% %s, 'user',
       jsonb_build_object('trigger', 'cron 0 3 * * * UTC', 'params', '{}'::jsonb)
  FROM generate_series(1, %s::bigint) n""",
    """
INSERT INTO sereno.schedule_version
       (schedule_id, version, valid_from, state, trigger, params, policies, changed_by)
SELECT id, 1, now(), 'active', 'cron 0 3 * * * UTC', '{}', '{}', 'bench'
  FROM sereno.schedule WHERE name LIKE 'bench.j%'""",
    """
INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at)
SELECT id, job, now(), now() + interval '2d' + id * interval '10ms',
       now() + interval '2d' + id * interval '10ms'
  FROM sereno.schedule WHERE name LIKE 'bench.j%'""",
)
PAST = f"""
  FROM (SELECT n, %s + n AS id, now() - (%s::bigint - n) * interval '1 s' AS at,
               n %% {JOBS} AS job, n %% %s + (
                   SELECT min(id) FROM sereno.schedule WHERE name LIKE 'bench.j%%') AS schedule
          FROM generate_series(%s::bigint, %s::bigint) n) AS past"""
RUNS = f"""
INSERT INTO sereno.run (id, job, state, cause, schedule_id, slot, run_at, queued_at, attempt, term,
                        started_at, finished_at, params, result, error, requested_by)
       OVERRIDING SYSTEM VALUE
SELECT id, 'bench.j' || job, CASE WHEN n %% 97 = 0 THEN 'failed' ELSE 'succeeded' END, 'slot',
       schedule, at, at, at, 1, 1, at, at + interval '250 ms',
       jsonb_build_object('site', n %% 1000), '{{"rows": 1}}',
       CASE WHEN n %% 97 = 0 THEN 'no space left' END, 'ci@h' || n %% 50 {PAST}"""
SLOTS = f"""
INSERT INTO sereno.slot (schedule_id, slot, verdict, run_id, term, decided_at)
SELECT schedule, at, 'ran', id, 1, at {PAST}"""
LINES = f"""
INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)
SELECT id, 1, 0, at, 'INFO', 'bench', 'moved ' || n || ' rows' {PAST} WHERE n %% 5 = 0"""
CHANGES = f"""
INSERT INTO sereno.change (at, by, subject, action, reason)
SELECT at, 'ci@h' || n %% 50, 'bench.j' || job || '@n' || n %% 10000, 'change', 'a deploy' {PAST}
 WHERE n %% 10 = 0"""
COUNTS = """
UPDATE sereno.job_stat
   SET succeeded = %s, failed = %s, last_state = 'succeeded', last_end_at = now(),
       last_success_at = now()
 WHERE job LIKE 'bench.j%%'"""


def fill(dsn: str, schedules: int, runs: int) -> int:
    """Make so many schedules, and a run a second until now; return the number of the newest run.

    Runs, slots, lines and changes are made side by side, without checkpoints between; the largest
    indexes come after.
    """
    execute(dsn, "ALTER SYSTEM SET max_wal_size = '64GB'")
    execute(dsn, "SELECT pg_reload_conf()")
    execute(dsn, SCHEDULES[0], JOBS, JOBS, schedules)
    for statement in SCHEDULES[1:]:
        execute(dsn, statement)
    first = int(execute(dsn, NUMBERED, runs, runs)[0][0])
    for statement in WITHOUT:
        execute(dsn, statement)

    def made(statement: str) -> None:
        for begin in range(1, runs + 1, SLICE):
            end = min(runs, begin + SLICE - 1)
            execute(dsn, statement, first, runs, schedules, begin, end)

    with ThreadPoolExecutor(2) as two:
        list(
            two.map(lambda those: [made(each) for each in those], ((RUNS, LINES), (SLOTS, CHANGES)))
        )
        list(two.map(lambda index: execute(dsn, index, options=ROOMY), WITH))
    execute(dsn, COUNTS, runs // JOBS, runs // JOBS // 97)
    execute(dsn, "VACUUM ANALYZE")
    execute(dsn, "ALTER SYSTEM RESET max_wal_size")
    execute(dsn, "SELECT pg_reload_conf()")
    execute(dsn, "CHECKPOINT")
    return first + runs
