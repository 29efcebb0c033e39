-- Runs for slots that were missed or never due: a row for each order, which the leader carries out few runs at a time, and one
-- for each slot that has been filled.

-- name: backfill_schedules
-- $1 schedule or job. The schedule of that name, else those of the job, as they stand.
SELECT s.id, s.name, s.job, s.state, s.declared,
       coalesce(s.overrides -> 'one_off', s.declared -> 'one_off') = 'true' AS one_off, s.created_at, w.settled_to, j.present,
       (SELECT slots_kept_from FROM sereno.history) AS kept_from, clock_timestamp() AS now,
       ARRAY(SELECT o.id FROM sereno.schedule o WHERE o.name = s.name OR o.name = s.name || '#' || o.id) AS ids
  FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id LEFT JOIN sereno.job j ON j.name = s.job
 WHERE s.state <> 'removed' AND (s.name = $1 OR s.job = $1)
 ORDER BY s.name <> $1, s.state = 'orphaned', s.name;

-- name: backfill_schedule
-- $1 schedule. As above, of one by its number.
SELECT s.id, s.name, s.job, s.state, s.declared,
       coalesce(s.overrides -> 'one_off', s.declared -> 'one_off') = 'true' AS one_off, s.created_at, w.settled_to, j.present,
       (SELECT slots_kept_from FROM sereno.history) AS kept_from, clock_timestamp() AS now,
       ARRAY(SELECT o.id FROM sereno.schedule o WHERE o.name = s.name OR o.name = s.name || '#' || o.id) AS ids
  FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id LEFT JOIN sereno.job j ON j.name = s.job
 WHERE s.id = $1 AND s.state <> 'removed';

-- name: backfill_ledger
-- $1 schedules, $2 first instant, $3 last instant. What is known of the slots between: verdicts, ranges, and what was filled;
-- `busy`: the run is not over; `unbegun`: it is, and never began.
SELECT s.slot AS first_slot, s.slot AS last_slot, s.verdict, r.state IN ('queued', 'running') AS busy, false AS unbegun
  FROM sereno.slot s LEFT JOIN sereno.run r ON r.id = s.run_id
 WHERE s.schedule_id = ANY ($1::bigint[]) AND s.slot BETWEEN $2 AND $3
UNION ALL
SELECT g.first_slot, g.last_slot, g.verdict, false, false
  FROM sereno.slot_range g
 WHERE g.schedule_id = ANY ($1::bigint[]) AND g.first_slot <= $3 AND g.last_slot >= $2
UNION ALL
SELECT b.slot, b.slot, 'backfilled', r.state IN ('queued', 'running'),
       r.attempt = 0 AND r.state NOT IN ('queued', 'running')
  FROM sereno.backfilled b LEFT JOIN sereno.run r ON r.id = b.run_id
 WHERE b.schedule_id = ANY ($1::bigint[]) AND b.slot BETWEEN $2 AND $3;

-- name: backfill_make
-- $1 schedule, $2 its name, $3 job, $4 since, $5 until, $6 missed only, $7 again, $8 parallel, $9 reason, $10 by, $11 of how
-- many slots. The trail tells of it.
WITH made AS (
    INSERT INTO sereno.backfill (schedule_id, schedule, job, span_start, span_end, missed_only, again, parallel, reason, requested_by,
                                 expected, place)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $4::timestamptz - interval '1 microsecond')
    RETURNING *
), told AS (
    INSERT INTO sereno.change (by, subject, action, reason, after)
    SELECT m.requested_by, m.schedule, 'backfill', m.reason,
           jsonb_build_object('backfill', m.id, 'since', m.span_start, 'until', m.span_end, 'missed_only', m.missed_only,
                              'again', m.again, 'parallel', m.parallel, 'slots', m.expected)
      FROM made m
)
SELECT id FROM made, pg_notify('sereno', 'bulk');

-- name: backfill_next
-- $1 at most. The oldest that are to be carried out.
SELECT id, schedule_id, job, span_start AS since, span_end AS until, missed_only, again, parallel, requested_by, place,
       pending
  FROM sereno.backfill WHERE state IN ('queued', 'running') ORDER BY id LIMIT $1;

-- name: backfill_hold
-- $1 term, $2 back-fill, $3 the place at which it was read, $4 its pending runs then. Its number, held until this transaction
-- ends; none when it is over or has been worked on since, or when the term is.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
)
SELECT b.id FROM sereno.backfill b, fence
 WHERE b.id = $2 AND b.place = $3 AND b.pending = $4::bigint[] AND b.state IN ('queued', 'running') FOR UPDATE OF b;

-- name: backfill_queue
-- $1 back-fill, $2 slots, $3 their params, $4 policies, $5 priorities, $6 concurrency keys. Queues a run for each that nobody
-- has filled, or settles otherwise, meanwhile; where it is to run again, for each. Returns them, the oldest slot first.
WITH wanted AS MATERIALIZED (
    SELECT b.id AS backfill, b.schedule_id, b.job, b.again, b.requested_by, u.slot, u.params, u.policies, u.priority, u.key,
           nextval('sereno.run_id_seq') AS run_id
      FROM sereno.backfill b,
           unnest($2::timestamptz[], $3::jsonb[], $4::jsonb[], $5::smallint[], $6::text[])
               WITH ORDINALITY AS u(slot, params, policies, priority, key, n)
     WHERE b.id = $1
       AND (b.again OR NOT EXISTS (SELECT 1 FROM sereno.slot s WHERE s.schedule_id = b.schedule_id AND s.slot = u.slot
                                      AND s.verdict IN ('waiting', 'ran', 'late')))
     ORDER BY u.n
), filled AS (
    INSERT INTO sereno.backfilled AS old (schedule_id, slot, run_id, backfill_id)
    SELECT schedule_id, slot, run_id, backfill FROM wanted
    ON CONFLICT (schedule_id, slot) DO UPDATE
       SET run_id = excluded.run_id, backfill_id = excluded.backfill_id, at = clock_timestamp(),
           times = old.times + CASE WHEN EXISTS (SELECT 1 FROM sereno.run r WHERE r.id = old.run_id AND r.attempt = 0
                                                    AND r.state NOT IN ('queued', 'running')) THEN 0 ELSE 1 END
     WHERE (SELECT w.again FROM wanted w LIMIT 1)
        OR EXISTS (SELECT 1 FROM sereno.run r WHERE r.id = old.run_id AND r.attempt = 0
                      AND r.state NOT IN ('queued', 'running'))
    RETURNING run_id
), made AS (
    INSERT INTO sereno.run (id, job, cause, schedule_id, slot, priority, params, policies, concurrency_key, requested_by, backfill)
           OVERRIDING SYSTEM VALUE
    SELECT w.run_id, w.job, 'backfill', w.schedule_id, w.slot, w.priority, w.params, w.policies, w.key, w.requested_by, w.backfill
      FROM wanted w JOIN filled f ON f.run_id = w.run_id ORDER BY w.run_id
    RETURNING id
)
SELECT id FROM made, pg_notify('sereno', 'run') ORDER BY id;

-- name: backfill_move
-- $1 back-fill, $2 its place from now on, null: there is nothing more, $3 its runs that are not over, and how many more $4 it
-- has queued, $5 succeeded, $6 failed, $7 were left out; $8 the first error, $9 whether it ends it. It is done once no run of
-- it is left; the trail tells of the end.
WITH moved AS (
    UPDATE sereno.backfill b
       SET place = coalesce($2, b.span_end), pending = $3::bigint[], queued = b.queued + $4, succeeded = b.succeeded + $5,
           failed = b.failed + $6, left_out = b.left_out + $7, error = coalesce(b.error, $8),
           started_at = coalesce(b.started_at, clock_timestamp()),
           state = CASE WHEN $9 THEN 'failed' WHEN $2::timestamptz IS NULL AND cardinality($3::bigint[]) = 0 THEN 'done'
                        ELSE 'running' END,
           finished_at = CASE WHEN $9 OR ($2 IS NULL AND cardinality($3::bigint[]) = 0) THEN clock_timestamp() END
     WHERE b.id = $1 RETURNING *
)
INSERT INTO sereno.change (by, subject, action, reason, after)
SELECT m.requested_by, m.schedule, 'backfill_over', coalesce(m.error, m.reason),
       jsonb_build_object('backfill', m.id, 'state', m.state, 'queued', m.queued, 'succeeded', m.succeeded, 'failed', m.failed,
                          'left_out', m.left_out)
  FROM moved m WHERE m.finished_at IS NOT NULL;

-- name: backfill_stop
-- $1 back-fill, $2 by. It queues no more; the runs of it that wait are returned, to be cancelled. The trail tells of it.
WITH stopped AS (
    UPDATE sereno.backfill b SET state = 'cancelled', cancelled_by = $2, finished_at = clock_timestamp()
     WHERE b.id = $1 AND b.state IN ('queued', 'running') RETURNING *
), told AS (
    INSERT INTO sereno.change (by, subject, action, reason, after)
    SELECT $2, s.schedule, 'backfill_over', s.reason,
           jsonb_build_object('backfill', s.id, 'state', s.state, 'queued', s.queued, 'succeeded', s.succeeded,
                              'failed', s.failed, 'left_out', s.left_out)
      FROM stopped s
)
SELECT r.id FROM stopped s JOIN sereno.run r ON r.id = ANY (s.pending) AND r.state = 'queued' ORDER BY r.id;

-- name: view_backfill
-- $1 back-fill
SELECT id, schedule, job, span_start AS since, span_end AS until, missed_only, again, parallel, reason, requested_by,
       expected, state, created_at, queued, succeeded, failed, left_out, cardinality(pending) AS pending, error, cancelled_by, started_at, finished_at
  FROM sereno.backfill WHERE id = $1;

-- name: view_backfills
-- $1 at most, $2 older than this one, null: from the newest on.
SELECT id, schedule, job, span_start AS since, span_end AS until, missed_only, again, parallel, reason, requested_by,
       expected, state, created_at, queued, succeeded, failed, left_out, cardinality(pending) AS pending, error, cancelled_by, started_at, finished_at
  FROM sereno.backfill WHERE $2::bigint IS NULL OR id < $2 ORDER BY id DESC LIMIT $1;
