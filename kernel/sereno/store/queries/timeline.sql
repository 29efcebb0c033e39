-- name: timeline_enter
-- $1 the newest term that this node knows of, $2 node, $3 our backend, $4 class, $5 the leader's number. Notes the history
-- that the database is on, see docs/restore.md. No row when this backend lacks the leader's lock.
WITH held AS MATERIALIZED (
    SELECT $2::uuid AS node FROM pg_locks l
     WHERE l.locktype = 'advisory' AND l.classid = $4::int::oid AND l.objid = $5::int::oid AND l.objsubid = 2
       AND l.granted AND l.pid = pg_backend_pid() AND l.pid = $3
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT e.changed, e.advanced, (e.last).*
  FROM held, LATERAL (SELECT * FROM sereno.timeline_enter($1, held.node) OFFSET 0) AS e;

-- name: timelines
-- $1 since. Each history that the database went over to since then, the newest first.
SELECT * FROM sereno.timeline WHERE seen_at >= $1 ORDER BY id DESC;

-- name: timeline_settled
-- $1 term, $2 timeline. No run that may have run before it waits any more.
UPDATE sereno.timeline t SET settled_at = clock_timestamp()
  FROM (SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE) AS fence WHERE t.id = $2;

-- name: numbers_advance
-- Sets right every sequence that is behind its rows.
SELECT number, was, became FROM sereno.numbers_advance(false);

-- name: numbers_ending
-- Numbers of ours that come to their end.
SELECT number, sequence, value, most FROM sereno.numbers_ending();

-- name: runs_doubtful
-- $1 term, $2 due up to, $3 the last commit that is known (null: not known), $4 error, $5 at most. Ends queued runs that
-- must not run twice and may have begun in a history that the database has forgotten. One that was queued after the last
-- commit from there was queued here. (A second: commits are not in the order of their instants.)
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), picked AS (
    SELECT r.id FROM sereno.run r LEFT JOIN sereno.job j ON j.name = r.job
     WHERE r.state = 'queued' AND r.run_at <= $2 AND ($3::timestamptz IS NULL OR r.queued_at <= $3 + interval '1 s')
       AND coalesce(r.policies ->> 'on_lost', j.policies ->> 'on_lost') = 'fail'
     LIMIT $5 FOR NO KEY UPDATE OF r SKIP LOCKED
), gone AS (
    UPDATE sereno.run r SET state = 'lost', finished_at = clock_timestamp(), error = $4,
           params = sereno.without_secrets(r.params, (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job))
      FROM picked, fence WHERE r.id = picked.id AND r.state = 'queued'
    RETURNING r.id, r.job, r.attempt, r.slot, r.schedule_id, r.finished_at
), missed AS (
    UPDATE sereno.slot s SET verdict = 'missed', reason = $4, term = $1, decided_at = gone.finished_at
      FROM gone WHERE s.schedule_id = gone.schedule_id AND s.slot = gone.slot AND s.run_id = gone.id
       AND s.verdict = 'waiting'
    RETURNING gone.job
), counted AS (
    UPDATE sereno.job_stat j
       SET lost = least(j.lost, 1::bigint << 62) + c.lost,
           missed = least(j.missed, 1::bigint << 62) + (SELECT count(*) FROM missed m WHERE m.job = j.job),
           last_end_at = clock_timestamp(), last_state = 'lost', last_run = c.last_run, last_duration = NULL
      FROM (SELECT job, count(*) AS lost, max(id) AS last_run FROM gone GROUP BY job) c WHERE j.job = c.job
)
SELECT id, job, attempt, slot FROM gone;

-- name: runs_doubtful_left
-- $1 due up to, $2 the last commit that is known. How many of them still wait.
SELECT count(*) FROM sereno.run r LEFT JOIN sereno.job j ON j.name = r.job
 WHERE r.state = 'queued' AND r.run_at <= $1 AND ($2::timestamptz IS NULL OR r.queued_at <= $2 + interval '1 s')
   AND coalesce(r.policies ->> 'on_lost', j.policies ->> 'on_lost') = 'fail';
