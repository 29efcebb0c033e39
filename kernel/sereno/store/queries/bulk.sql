-- Changes of many runs by a filter: a row each, which the leader works off chunk by chunk.

-- name: bulk_make
-- $1 action, $2 filter, $3 reason, $4 by, $5 how many it is of, null: too many to count. Frozen at this instant: its place
-- is behind the newest run.
WITH made AS (
    INSERT INTO sereno.bulk (action, filter, reason, requested_by, expected, place)
    SELECT $1, $2, $3, $4, $5, coalesce(max(r.id), 0) + 1 FROM sereno.run r RETURNING id
)
SELECT id FROM made, pg_notify('sereno', 'bulk');

-- name: bulk_next
-- The oldest that is to be carried out.
SELECT id, action, filter, reason, requested_by, frozen_at, place FROM sereno.bulk
 WHERE state IN ('queued', 'running') ORDER BY id LIMIT 1;

-- name: bulk_hold
-- $1 term, $2 bulk, $3 the place at which it was read. Its number, held until this transaction ends; none when it is over or
-- has been worked on since, or when the term is.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
)
SELECT b.id FROM sereno.bulk b, fence
 WHERE b.id = $2 AND b.place = $3 AND b.state IN ('queued', 'running') FOR UPDATE OF b;

-- name: bulk_cancel
-- $1 runs, $2 by, $3 reason, $4 frozen at. As cancel_request, of many: those that wait end at once, those under way are
-- asked to stop. Returns how many were changed.
WITH target AS (
    SELECT id FROM sereno.run WHERE id = ANY ($1::bigint[]) AND state IN ('queued', 'running') AND queued_at < $4
), ended AS (
    UPDATE sereno.run r SET state = 'cancelled', finished_at = clock_timestamp(),
           error = 'cancelled by ' || $2::text || ': ' || $3::text,
           params = sereno.without_secrets(r.params, (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job))
      FROM target t WHERE r.id = t.id AND coalesce(r.state, '') = 'queued'
    RETURNING r.id, r.job, r.schedule_id, r.slot, r.attempt, r.finished_at, r.error
), skipped AS (
    UPDATE sereno.slot s SET verdict = 'skipped', reason = e.error || ', before it began', decided_at = e.finished_at
      FROM ended e WHERE e.attempt = 0 AND s.schedule_id = e.schedule_id AND s.slot = e.slot AND s.run_id = e.id
       AND s.verdict = 'waiting'
    RETURNING s.run_id, e.job
), counted AS (
    UPDATE sereno.job_stat j
       SET cancelled = least(j.cancelled, 1::bigint << 62) + c.n,
           skipped = least(j.skipped, 1::bigint << 62) + (SELECT count(*) FROM skipped s WHERE s.job = j.job),
           last_end_at = greatest(j.last_end_at, c.end_at),
           last_state = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN 'cancelled' ELSE j.last_state END,
           last_run = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN c.last_run ELSE j.last_run END,
           last_duration = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN NULL ELSE j.last_duration END
      FROM (SELECT job, count(*) AS n, max(finished_at) AS end_at,
                   (array_agg(id ORDER BY finished_at DESC, id DESC))[1] AS last_run FROM ended GROUP BY job) c
     WHERE j.job = c.job
), asked AS (
    INSERT INTO sereno.cancel_request (run_id, requested_by, reason)
    SELECT t.id, $2, $3 FROM target t ON CONFLICT DO NOTHING RETURNING run_id
)
SELECT count(*) AS changed FROM (SELECT id FROM ended UNION SELECT run_id FROM asked) AS c, pg_notify('sereno', 'cancel');

-- name: bulk_retry
-- $1 runs, $2 by, $3 which bulk, $4 frozen at. As run_repeat, of many: those that were over by then are queued again. Returns
-- how many. Raises a sentence when one of them cannot be: its job is gone, it takes other params by now, or a secret one
-- has ended with the run.
WITH old AS MATERIALIZED (
    SELECT r.* FROM sereno.run r
     WHERE r.id = ANY ($1::bigint[]) AND r.state NOT IN ('queued', 'running') AND r.finished_at < $4
       AND r.place_id IS DISTINCT FROM '*'   -- its parts are, each at its place
), fit AS MATERIALIZED (
    SELECT o.id, sereno.bulk_repeatable(o.id, o.job, o.params) AS checked FROM old o
), again AS (
    INSERT INTO sereno.run (job, cause, schedule_id, slot, priority, params, policies, concurrency_key, upstream, requested_by,
                            trace_context, repeats, tags, alone, backfill, only_at)
    SELECT o.job, 'retry', o.schedule_id, o.slot, o.priority, o.params, o.policies, o.concurrency_key, o.upstream,
           $2::text || ', run ' || o.id || ' again, ' || $3::text, o.trace_context, o.id, o.tags, o.alone, o.backfill,
           coalesce(o.place_id, o.only_at)
      FROM old o JOIN fit f ON f.id = o.id WHERE f.checked ORDER BY o.id
    RETURNING id, tags
), tagged AS (
    INSERT INTO sereno.run_tag (tag, run_id) SELECT u.tag, a.id FROM again a, unnest(a.tags) AS u (tag)
)
SELECT count(*) AS changed FROM again, pg_notify('sereno', 'run');

-- name: bulk_move
-- $1 bulk, $2 its place from now on, null: there is nothing more, and $3 to $5 how many runs more it was of, has changed, was
-- refused by, $6 why, null: it goes on as it is, $7 whether it cannot go on for that. In a transaction that holds it.
-- The trail tells of it once, when it is over.
WITH moved AS (
    UPDATE sereno.bulk b
       SET place = coalesce($2, b.place), matched = b.matched + $3, done = b.done + $4, failed = b.failed + $5,
           error = CASE WHEN $7 THEN $6 ELSE coalesce(b.error, $6) END, started_at = coalesce(b.started_at, clock_timestamp()),
           state = CASE WHEN $7 THEN 'failed' WHEN $2::bigint IS NULL THEN 'done' ELSE 'running' END,
           finished_at = CASE WHEN $7 OR $2 IS NULL THEN clock_timestamp() END
     WHERE b.id = $1 RETURNING *
)
INSERT INTO sereno.change (by, subject, action, reason, before, after)
SELECT m.requested_by, 'bulk ' || m.id, 'bulk_' || m.action, m.reason, jsonb_build_object('filter', m.filter),
       jsonb_build_object('state', m.state, 'matched', m.matched, 'done', m.done, 'failed', m.failed)
  FROM moved m WHERE m.finished_at IS NOT NULL;

-- name: bulk_stop
-- $1 bulk, $2 by. It goes no further; what it has changed stays so. The trail tells of it.
WITH stopped AS (
    UPDATE sereno.bulk b SET state = 'cancelled', cancelled_by = $2, finished_at = clock_timestamp()
     WHERE b.id = $1 AND b.state IN ('queued', 'running') RETURNING *
)
INSERT INTO sereno.change (by, subject, action, reason, before, after)
SELECT s.requested_by, 'bulk ' || s.id, 'bulk_' || s.action, s.reason, jsonb_build_object('filter', s.filter),
       jsonb_build_object('state', s.state, 'matched', s.matched, 'done', s.done, 'failed', s.failed,
                          'cancelled_by', s.cancelled_by)
  FROM stopped s;

-- name: view_bulk
-- $1 bulk
SELECT id, action, filter, reason, requested_by, expected, state, frozen_at, matched, done, failed, error, cancelled_by,
       started_at, finished_at FROM sereno.bulk WHERE id = $1;

-- name: view_bulks
-- $1 at most, $2 older than this one, null: from the newest on.
SELECT id, action, filter, reason, requested_by, expected, state, frozen_at, matched, done, failed, error, cancelled_by,
       started_at, finished_at FROM sereno.bulk WHERE $2::bigint IS NULL OR id < $2 ORDER BY id DESC LIMIT $1;
