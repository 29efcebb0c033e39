-- Runs of jobs of scope "host" or "node" (ADR 36): the whole, which nobody works on, and its parts, one at each place.
-- Both name the node that is none while nobody works on them.

-- name: parts_make
-- $1 term, $2 run, $3 places, $4 their names, $5 why the part at that place ends unbegun (null: it waits), $6 whether its
-- concurrency key is the job's own, and no schedule's. A run that waits becomes the whole, and gets its parts, which are frozen by this; what it was asked for at is the only one. Nothing where it
-- was claimed, cancelled or parted before, is too late to begin, or is asked for at a place that is not among them.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), place AS MATERIALIZED (
    SELECT u.place, u.name, u.unbegun, u.n
      FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS u (place, name, unbegun, n), sereno.run r
     WHERE r.id = $2 AND (r.only_at IS NULL OR r.only_at IN (u.place, u.name))
), whole AS (
    UPDATE sereno.run r SET place_id = '*', node = '00000000-0000-0000-0000-000000000000', term = $1, start_by = NULL
      FROM fence
     WHERE r.id = $2 AND r.state = 'queued' AND r.node IS NULL AND r.place_id IS NULL
       AND (r.start_by IS NULL OR r.start_by >= clock_timestamp() OR r.attempt > 0) AND EXISTS (SELECT 1 FROM place)
    RETURNING r.*
), made AS (
    INSERT INTO sereno.run (job, cause, state, schedule_id, slot, priority, run_at, params, policies, concurrency_key, start_by,
                            upstream, requested_by, trace_context, alone, node, term, place_id, place_name, part_of, error,
                            finished_at)
    SELECT w.job, 'part', CASE WHEN p.unbegun IS NULL THEN 'queued' ELSE 'cancelled' END, w.schedule_id, w.slot, w.priority,
           w.run_at, CASE WHEN p.unbegun IS NULL THEN w.params ELSE '{}' END, w.policies,
           CASE WHEN $6::boolean THEN w.concurrency_key END,
           (SELECT r.start_by FROM sereno.run r WHERE r.id = $2),   -- as it was before this statement
           w.upstream, 'run ' || w.id, w.trace_context, w.alone, w.node, $1, p.place, p.name, w.id, p.unbegun,
           CASE WHEN p.unbegun IS NOT NULL THEN clock_timestamp() END
      FROM whole w, place p ORDER BY p.n
    RETURNING id, part_of, state
)
SELECT id FROM made WHERE state = 'queued' UNION ALL SELECT w.id FROM whole w;

-- name: parts_open
-- Every whole that is not over (`part_of` null), and each part of one that is not over, in their order;
-- `whole_state` null: it is gone.
SELECT r.id, r.job, r.state, r.node, r.term, r.attempt, r.priority, r.run_at, r.start_by, r.schedule_id, r.slot, r.place_id AS place,
       r.place_name, r.part_of, r.policies, r.concurrency_key, w.state AS whole_state, c.requested_by AS cancelled_by
  FROM sereno.run r
  LEFT JOIN sereno.run w ON w.id = r.part_of
  LEFT JOIN sereno.cancel_request c ON c.run_id = r.part_of
 WHERE r.place_id IS NOT NULL AND r.state IN ('queued', 'running')
 ORDER BY r.priority DESC, r.run_at, r.id;

-- name: parts_begun
-- $1 runs that this transaction has claimed. The wholes of those that are parts have begun with the first of them, and so
-- have their slots. In the order of their numbers: nodes that begin parts of the same wait for one another, and never both.
-- Returns the parts: whether a slot asked for their whole, and the verdict of that slot with the one that began it.
WITH first AS MATERIALIZED (
    SELECT p.part_of AS id, min(p.started_at) AS started_at, max(p.term) AS term
      FROM sereno.run p WHERE p.id = ANY($1::bigint[]) AND p.part_of IS NOT NULL GROUP BY p.part_of
), held AS MATERIALIZED (
    SELECT w.id FROM sereno.run w WHERE w.id IN (SELECT f.id FROM first f) ORDER BY w.id FOR NO KEY UPDATE
), begun AS (
    UPDATE sereno.run w SET state = 'running', attempt = 1, started_at = f.started_at, term = f.term
      FROM held h JOIN first f ON f.id = h.id
     WHERE w.id = h.id AND coalesce(w.state, '') = 'queued' AND w.place_id = '*'
    RETURNING w.id, w.job, w.schedule_id, w.slot, w.started_at, w.on_time_until, w.cause, w.term
), slots AS (
    UPDATE sereno.slot s
       SET verdict = CASE WHEN b.started_at <= b.on_time_until THEN 'ran' ELSE 'late' END,
           reason = CASE WHEN b.started_at <= b.on_time_until OR NOT isfinite(b.slot) THEN NULL
                         ELSE sereno.lateness(b.started_at - b.slot) END,
           term = b.term, decided_at = b.started_at
      FROM begun b
     WHERE b.cause = 'slot' AND s.schedule_id = b.schedule_id AND s.slot = b.slot AND s.run_id = b.id AND s.verdict = 'waiting'
    RETURNING s.run_id, s.verdict, s.reason, b.job
), counted AS (
    UPDATE sereno.job_stat j SET late = least(j.late, 1::bigint << 62) + c.n
      FROM (SELECT job, count(*) AS n FROM slots WHERE verdict = 'late' GROUP BY job) c WHERE j.job = c.job
)
SELECT p.id, w.cause = 'slot' AS of_slot, s.verdict, s.reason
  FROM sereno.run p JOIN sereno.run w ON w.id = p.part_of
  LEFT JOIN slots s ON s.run_id = w.id AND p.id = (SELECT min(o.id) FROM sereno.run o
                                                    WHERE o.id = ANY($1::bigint[]) AND o.part_of = w.id)
 WHERE p.id = ANY($1::bigint[]);

-- name: parts_end
-- $1 term, $2 runs, $3 why. Parts that wait, and whose place is gone, are over: with no attempt they end unbegun, else they are
-- lost with it. Returns those.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), ended AS (
    UPDATE sereno.run r SET state = CASE WHEN r.attempt = 0 THEN 'cancelled' ELSE 'lost' END, finished_at = clock_timestamp(),
           error = u.why,
           params = sereno.without_secrets(r.params, (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job))
      FROM fence, unnest($2::bigint[], $3::text[]) AS u (id, why)
     WHERE r.id = u.id AND coalesce(r.state, '') = 'queued' AND r.place_id IS NOT NULL
       AND r.node = '00000000-0000-0000-0000-000000000000'
    RETURNING r.id, r.job, r.state, r.attempt, r.slot, r.error, interval '0' AS lasted
), counted AS (
    UPDATE sereno.job_stat j SET cancelled = least(j.cancelled, 1::bigint << 62) + c.cancelled,
           lost = least(j.lost, 1::bigint << 62) + c.lost
      FROM (SELECT job, count(*) FILTER (WHERE state = 'cancelled') AS cancelled, count(*) FILTER (WHERE state = 'lost') AS lost
              FROM ended GROUP BY job) c WHERE j.job = c.job
)
SELECT id, job, state, attempt, slot, error, lasted FROM ended;

-- name: wholes_end
-- $1 term, $2 wholes. Those are over whose parts all are. One succeeded where each part that began did; a slot of which none
-- began was skipped (an earlier one was not over, or somebody cancelled it) or missed. Returns them.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), held AS MATERIALIZED (
    SELECT w.id, w.attempt, EXISTS (SELECT 1 FROM sereno.cancel_request c WHERE c.run_id = w.id) AS asked
      FROM sereno.run w, fence
     WHERE w.id = ANY($2::bigint[]) AND w.place_id = '*' AND w.state IN ('queued', 'running')
       AND NOT EXISTS (SELECT 1 FROM sereno.run p WHERE p.part_of = w.id AND p.state IN ('queued', 'running'))
     ORDER BY w.id FOR NO KEY UPDATE OF w
), sum AS (
    SELECT h.id, h.asked, count(p.id) AS parts, count(p.id) FILTER (WHERE p.attempt > 0) AS begun,
           count(p.id) FILTER (WHERE p.state = 'succeeded') AS succeeded,
           count(p.id) FILTER (WHERE p.state IN ('failed', 'timed_out', 'lost')) AS failed,
           count(p.id) FILTER (WHERE p.state = 'cancelled' AND p.attempt > 0) AS cancelled,
           coalesce(bool_and(p.error LIKE 'overlap: %' OR p.error LIKE 'cancelled by %'), h.asked) AS meant,
           min(p.started_at) AS started_at,
           left(string_agg(CASE WHEN p.state <> 'succeeded'
                                THEN format('run %s at %s: %s', p.id, p.place_name, coalesce(p.error, p.state)) END,
                           '; ' ORDER BY p.id), 2000) AS why,
           CASE WHEN sum(pg_column_size(p.result)) < 200000
                THEN jsonb_object_agg(p.place_name, p.result) FILTER (WHERE p.result IS NOT NULL AND p.place_name IS NOT NULL)
                END AS result
      FROM held h LEFT JOIN sereno.run p ON p.part_of = h.id GROUP BY h.id, h.asked
), judged AS (
    SELECT *, CASE WHEN begun = 0 OR (asked AND succeeded < parts) THEN 'cancelled' WHEN failed > 0 THEN 'failed'
                   WHEN cancelled > 0 OR succeeded = 0 THEN 'cancelled' ELSE 'succeeded' END AS state FROM sum
), done AS (
    UPDATE sereno.run w
       SET state = j.state, finished_at = clock_timestamp(), result = j.result,
           error = CASE WHEN j.state = 'succeeded' THEN NULL
                        WHEN j.state = 'failed' THEN format('%s of its %s parts did not succeed: ', j.failed, j.parts) || j.why
                        ELSE coalesce(j.why, 'it had no part') END,
           params = sereno.without_secrets(w.params, (SELECT x.secrets FROM sereno.job x WHERE x.name = w.job))
      FROM judged j WHERE w.id = j.id
    RETURNING w.id, w.token, w.job, w.state, w.attempt, w.cause, w.schedule_id, w.slot, w.started_at, w.finished_at, w.error,
              w.result, w.backfill, j.meant
), slots AS (
    UPDATE sereno.slot s SET verdict = CASE WHEN d.meant THEN 'skipped' ELSE 'missed' END, reason = d.error, term = $1,
           decided_at = d.finished_at
      FROM done d
     WHERE d.cause = 'slot' AND d.attempt = 0 AND s.schedule_id = d.schedule_id AND s.slot = d.slot AND s.run_id = d.id
       AND s.verdict = 'waiting'
    RETURNING s.run_id, s.verdict, d.job
), counted AS (
    UPDATE sereno.job_stat j
       SET skipped = least(j.skipped, 1::bigint << 62)
                     + (SELECT count(*) FROM slots s WHERE s.job = j.job AND s.verdict = 'skipped'),
           missed = least(j.missed, 1::bigint << 62) + (SELECT count(*) FROM slots s WHERE s.job = j.job AND s.verdict = 'missed'),
           last_success_at = greatest(j.last_success_at, c.success_at),
           last_end_at = greatest(j.last_end_at, c.end_at), last_state = c.last_state, last_run = c.last_run,
           last_duration = c.last_duration
      FROM (SELECT job, max(finished_at) FILTER (WHERE state = 'succeeded' AND backfill IS NULL) AS success_at,
                   max(finished_at) AS end_at, (array_agg(state ORDER BY id DESC))[1] AS last_state, max(id) AS last_run,
                   (array_agg(finished_at - started_at ORDER BY id DESC))[1] AS last_duration
              FROM done GROUP BY job) c
     WHERE j.job = c.job
)
SELECT d.id, d.token, d.job, d.state, d.attempt, d.slot, d.error, d.result::text AS result, s.verdict,
       coalesce(d.finished_at - d.started_at, interval '0') AS lasted,
       (SELECT count(*) FROM sereno.run p WHERE p.part_of = d.id) AS parts,
       (SELECT x.name FROM sereno.schedule x WHERE x.id = d.schedule_id) AS schedule
  FROM done d LEFT JOIN slots s ON s.run_id = d.id;
