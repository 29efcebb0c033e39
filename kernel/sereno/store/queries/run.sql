-- name: enqueue
-- $1 job, $2 params, $3 run_at, $4 priority, $5 unique_key, $6 requested_by, $7 cause, $8 trace_context, $9 start_by
SELECT sereno.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: request_within
-- $1 job, $2 params as text, $3 run_at, $4 priority, $5 unique_key, $6 requested_by, $7 cause, $8 trace_context, $9
-- start_by, $10 unique_for, $11 unique_by. How the run stands, or the one that holds its key, as JSON.
SELECT row_to_json(r)::text
  FROM sereno.request($1::text, $2::text::jsonb, $3::timestamptz, $4::integer, $5::text, $6::text, $7::text, $8::text,
                      $9::interval, $10::interval, $11::text[]) AS r;

-- name: request_many_within
-- $1 job, $2 a JSON array of params as text, $3 run_at, $4 priority, $5 requested_by, $6 cause, $7 trace_context, $8
-- start_by, $9 unique_for, $10 unique_by, $11 unique_keys. As `request_within`, in the order of the params.
SELECT row_to_json(r)::text
  FROM sereno.request_many($1::text, ARRAY(SELECT e.value FROM jsonb_array_elements($2::text::jsonb)
                                                               WITH ORDINALITY AS e (value, n) ORDER BY e.n),
                           $3::timestamptz, $4::integer, $5::text, $6::text, $7::text, $8::interval,
                           $9::interval, $10::text[], $11::text[]) AS r;

-- name: enqueue_within
-- $1 job, $2 params as text, $3 run_at, $4 else how long from now, $5 priority, $6 unique_key, $7 requested_by, $8 cause,
-- $9 trace_context, $10 start_by, $11 unique_for, $12 unique_by. Each with its type: a caller's own connection knows none.
SELECT sereno.enqueue($1::text, $2::text::jsonb, coalesce($3::timestamptz, clock_timestamp() + $4::interval), $5::integer,
                      $6::text, $7::text, $8::text, $9::text, $10::interval, $11::interval, $12::text[]);

-- name: enqueue_alone_within
-- As enqueue_tagged_within, and what is chained after the run does not follow.
SELECT sereno.alone(sereno.tag(
                    sereno.enqueue($1::text, $2::text::jsonb, coalesce($3::timestamptz, clock_timestamp() + $4::interval),
                                   $5::integer, $6::text, $7::text, $8::text, $9::text, $10::interval, $11::interval,
                                   $12::text[]),
                    ARRAY(SELECT jsonb_array_elements_text($13::text::jsonb))));

-- name: enqueue_at_within
-- As enqueue_tagged_within, and a job that works at each host or node does at $14 alone.
SELECT sereno.at_place(sereno.tag(
                    sereno.enqueue($1::text, $2::text::jsonb, coalesce($3::timestamptz, clock_timestamp() + $4::interval),
                                   $5::integer, $6::text, $7::text, $8::text, $9::text, $10::interval, $11::interval,
                                   $12::text[]),
                    ARRAY(SELECT jsonb_array_elements_text($13::text::jsonb))), $14::text);

-- name: enqueue_alone_at_within
-- As enqueue_alone_within, and a job that works at each host or node does at $14 alone.
SELECT sereno.at_place(sereno.alone(sereno.tag(
                    sereno.enqueue($1::text, $2::text::jsonb, coalesce($3::timestamptz, clock_timestamp() + $4::interval),
                                   $5::integer, $6::text, $7::text, $8::text, $9::text, $10::interval, $11::interval,
                                   $12::text[]),
                    ARRAY(SELECT jsonb_array_elements_text($13::text::jsonb)))), $14::text);

-- name: run_alone
-- $1 run, in the transaction that queues it. What is chained after it does not follow.
SELECT sereno.alone($1);

-- name: run_at_place
-- $1 run, in the transaction that queues it, $2 a host or node. It has a part there alone.
SELECT sereno.at_place($1, $2);

-- name: enqueue_many_within
-- $1 job, $2 a JSON array of params as text, $3 run_at, $4 else how long from now, $5 priority, $6 requested_by, $7 cause,
-- $8 trace_context, $9 start_by, $10 unique_for, $11 unique_by, $12 unique_keys. The runs' ids, in that order.
SELECT sereno.enqueue_many($1::text, ARRAY(SELECT e.value FROM jsonb_array_elements($2::text::jsonb)
                                                               WITH ORDINALITY AS e (value, n) ORDER BY e.n),
                           coalesce($3::timestamptz, clock_timestamp() + $4::interval), $5::integer, $6::text, $7::text,
                           $8::text, $9::interval, $10::interval, $11::text[], $12::text[]);

-- name: enqueue_as_role
-- $1 job, $2 params as text, $3 run_at, $4 priority, $5 unique_key, $6 requested_by, $7 trace_context, $8 start_by, $9
-- unique_for, $10 unique_by. By a connection of somebody else's making, whatever its codecs and its role: one that may not say who asked
-- is recorded as itself.
SELECT sereno.enqueue($1::text, $2::text::jsonb, $3::timestamptz, $4::integer, $5::text,
                      CASE WHEN has_table_privilege('sereno.run', 'INSERT') THEN $6::text END, 'program', $7::text,
                      $8::interval, $9::interval, $10::text[]);

-- name: run_tag
-- $1 run that was queued by this transaction, $2 tags
SELECT sereno.tag($1, $2);

-- name: enqueue_tagged_within
-- As enqueue_within, with $13 a JSON array of tags as text.
SELECT sereno.tag(sereno.enqueue($1::text, $2::text::jsonb, coalesce($3::timestamptz, clock_timestamp() + $4::interval),
                                 $5::integer, $6::text, $7::text, $8::text, $9::text, $10::interval, $11::interval, $12::text[]),
                  ARRAY(SELECT jsonb_array_elements_text($13::text::jsonb)));

-- name: enqueue_many_tagged_within
-- As enqueue_many_within, with $13 a JSON array of tags as text, of each of them.
SELECT sereno.tag(e.run, ARRAY(SELECT jsonb_array_elements_text($13::text::jsonb)))
  FROM sereno.enqueue_many($1::text, ARRAY(SELECT e.value FROM jsonb_array_elements($2::text::jsonb)
                                                               WITH ORDINALITY AS e (value, n) ORDER BY e.n),
                           coalesce($3::timestamptz, clock_timestamp() + $4::interval), $5::integer, $6::text, $7::text,
                           $8::text, $9::interval, $10::interval, $11::text[], $12::text[])
       WITH ORDINALITY AS e (run, n) ORDER BY e.n;

-- name: enqueue_tagged_as_role
-- As enqueue_as_role, with $11 a JSON array of tags as text.
SELECT sereno.tag(sereno.enqueue($1::text, $2::text::jsonb, $3::timestamptz, $4::integer, $5::text,
                      CASE WHEN has_table_privilege('sereno.run', 'INSERT') THEN $6::text END, 'program', $7::text,
                      $8::interval, $9::interval, $10::text[]),
                  ARRAY(SELECT jsonb_array_elements_text($11::text::jsonb)));

-- name: run_emptied
-- $1 run. The params that ended with it, where its job has secret ones; no row when there is no such run.
SELECT ARRAY(SELECT k FROM unnest(j.secrets) AS k WHERE r.params -> k = 'null' ORDER BY k) AS emptied
  FROM sereno.run r LEFT JOIN sereno.job j ON j.name = r.job WHERE r.id = $1;

-- name: run_repeatable
-- $1 run, $2 params that are given anew. Raises a sentence when its job is gone, or does not take its params any more; no row when it is not over.
SELECT sereno.check_params(sereno.known_job(r.job), ARRAY[r.params || $2::jsonb], false) FROM sereno.run r
 WHERE r.id = $1 AND r.state NOT IN ('queued', 'running');

-- name: run_repeat
-- $1 run, $2 by, $3 params that are given anew. Queues it again, as a run of its own that is all that the first was: of its slot, with what it was given.
-- (Not its unique_key: who repeats it asks for another.)
WITH again AS (
    INSERT INTO sereno.run (job, cause, schedule_id, slot, priority, params, policies, concurrency_key, upstream, requested_by,
                            trace_context, repeats, tags, alone, backfill, only_at)
    SELECT r.job, 'retry', r.schedule_id, r.slot, r.priority, r.params || $3::jsonb, r.policies, r.concurrency_key, r.upstream, $2,
           r.trace_context, r.id, r.tags, r.alone, r.backfill, CASE WHEN r.part_of IS NULL THEN r.only_at ELSE r.place_id END
      FROM sereno.run r WHERE r.id = $1
    RETURNING id, tags
), tagged AS (
    INSERT INTO sereno.run_tag (tag, run_id) SELECT u.tag, a.id FROM again a, unnest(a.tags) AS u (tag)
)
SELECT id FROM again, pg_notify('sereno', 'run');

-- name: queue_ready
-- $1 at most, $2 jobs of which one more may start, $3 schedules of which none may start.
-- Runs without a concurrency key whose instant has come, in the order in which they start; what a node was handed (`node`)
-- no longer waits for a place, here and below. (One of a back-fill counts for its
-- job and key, and not for its schedule: what is on time waits for it where it must, and is not skipped for it.)
SELECT id, job, CASE WHEN backfill IS NULL THEN schedule_id END AS schedule_id, concurrency_key, policies, start_by, priority
  FROM sereno.run
 WHERE state = 'queued' AND concurrency_key IS NULL AND run_at <= clock_timestamp() AND job = ANY($2::text[])
   AND node IS NULL
   AND (start_by IS NULL OR start_by >= clock_timestamp() OR attempt > 0)
   AND (schedule_id IS NULL OR schedule_id <> ALL($3::bigint[]))
 ORDER BY priority DESC, run_at, id LIMIT $1;

-- name: queue_ready_keyed
-- $1 at most, $2 jobs of which one more may start, $3 concurrency keys that have no place, $4 schedules of which none may
-- start, $5 priorities, $6 of each the turn that was last, $7 runs of one turn at most. Runs with a key whose instant has
-- come: of the highest priority one of each turn, then the second of each; then of the next.
-- A turn is all that waits with one priority, job and key, and has a number, by which `run_turn` orders them. The walk goes
-- from one to the next by a step down the index, from below the one that was last round to it again, whatever waits behind
-- each, and ends when as many turns are found as runs are asked for. `here` false: a place between turns, at which a priority, or the second
-- half of its round, begins.
WITH RECURSIVE walk AS (
    SELECT 32768 AS priority, 0::bigint AS turn, NULL::bigint AS last, true AS wrapped, false AS here, 0::bigint AS found,
           0 AS step, NULL::bigint[] AS picked
     WHERE EXISTS (SELECT 1 FROM sereno.run WHERE state = 'queued' AND concurrency_key IS NOT NULL)
    UNION ALL
    SELECT n.priority, n.turn, n.last, n.wrapped, n.here, w.found + (p.picked IS NOT NULL)::integer, w.step + 1, p.picked
      FROM walk w
      CROSS JOIN LATERAL (
          (SELECT w.priority, hashtextextended(r.concurrency_key, hashtext(r.job)) AS turn, w.last, w.wrapped, true AS here
             FROM sereno.run r
            WHERE r.state = 'queued' AND r.concurrency_key IS NOT NULL AND r.priority = w.priority
              AND hashtextextended(r.concurrency_key, hashtext(r.job)) < w.turn
              AND hashtextextended(r.concurrency_key, hashtext(r.job))
                  >= CASE WHEN w.wrapped THEN coalesce(w.last, -9223372036854775808) ELSE -9223372036854775808 END
            ORDER BY r.priority DESC, hashtextextended(r.concurrency_key, hashtext(r.job)) DESC LIMIT 1)
          UNION ALL
          SELECT w.priority, 9223372036854775807, w.last, true, false WHERE NOT w.wrapped
          UNION ALL
          (SELECT b.priority, coalesce(l.turn, 9223372036854775807), l.turn, l.turn IS NULL, false
             FROM (SELECT r.priority::integer AS priority FROM sereno.run r
                    WHERE r.state = 'queued' AND r.concurrency_key IS NOT NULL AND r.priority < w.priority
                    ORDER BY r.priority DESC LIMIT 1) AS b
             LEFT JOIN unnest($5::integer[], $6::bigint[]) AS l (priority, turn) ON l.priority = b.priority)
          LIMIT 1) AS n
      LEFT JOIN LATERAL (
          SELECT array_agg(h.id ORDER BY h.run_at, h.id) AS picked
            FROM (SELECT r.id, r.run_at, r.job, r.concurrency_key, r.start_by, r.attempt, r.schedule_id, r.node FROM sereno.run r
                   WHERE r.state = 'queued' AND r.concurrency_key IS NOT NULL AND r.priority = n.priority
                     AND hashtextextended(r.concurrency_key, hashtext(r.job)) = n.turn
                     AND r.run_at <= (SELECT clock_timestamp())   -- one value: where the index ends
                   ORDER BY r.run_at, r.id LIMIT $7::bigint) AS h
           WHERE h.job = ANY($2::text[]) AND h.concurrency_key <> ALL($3::text[]) AND h.node IS NULL
             AND (h.start_by IS NULL OR h.start_by >= clock_timestamp() OR h.attempt > 0)
             AND (h.schedule_id IS NULL OR h.schedule_id <> ALL($4::bigint[]))) AS p ON n.here
     WHERE w.found < $1::bigint
)
SELECT r.id, r.job, CASE WHEN r.backfill IS NULL THEN r.schedule_id END AS schedule_id, r.concurrency_key, r.policies,
       r.start_by, r.priority, w.turn
  FROM walk w CROSS JOIN LATERAL unnest(w.picked) WITH ORDINALITY AS u (id, place) JOIN sereno.run r ON r.id = u.id
 ORDER BY w.priority DESC, u.place, w.step LIMIT $1::bigint;

-- name: queue_ready_children
-- $1 at most, $2 jobs of which one more may start, $3 concurrency keys that have no place, $4 the lowest priority. Children of
-- fan-outs whose instant has come, in their order; of many, those among the first thousand that may start.
SELECT id, job, NULL::bigint AS schedule_id, concurrency_key, policies, start_by, priority, true AS child,
       hashtextextended(concurrency_key, hashtext(job)) AS turn
  FROM (SELECT * FROM sereno.run
         WHERE state = 'queued' AND fan_out IS NOT NULL AND priority >= $4::integer
           AND run_at <= (SELECT clock_timestamp())   -- one value, which the index compares
         ORDER BY priority DESC, run_at, id LIMIT 1000) AS c
 WHERE job = ANY($2::text[]) AND (concurrency_key IS NULL OR concurrency_key <> ALL($3::text[])) AND node IS NULL
   AND (start_by IS NULL OR start_by >= clock_timestamp() OR attempt > 0)
 ORDER BY priority DESC, run_at, id LIMIT $1::bigint;

-- name: queue_next
-- The instant of the next queued run that is not ready yet, and the first by which one is to begin; null: none. `keyed`:
-- whether one waits that has a concurrency key; `children`: one of a fan-out.
SELECT (SELECT min(run_at) FROM sereno.run WHERE state = 'queued' AND run_at > clock_timestamp()) AS run_at,
       (SELECT min(start_by) FROM sereno.run WHERE state = 'queued' AND attempt = 0 AND start_by IS NOT NULL) AS start_by,
       EXISTS (SELECT 1 FROM sereno.run WHERE state = 'queued' AND concurrency_key IS NOT NULL) AS keyed,
       EXISTS (SELECT 1 FROM sereno.run WHERE state = 'queued' AND fan_out IS NOT NULL) AS children;

-- name: queue_expired
-- $1 at most. Queued runs that are too late to begin.
SELECT id FROM sereno.run WHERE state = 'queued' AND attempt = 0 AND start_by < clock_timestamp() ORDER BY start_by LIMIT $1;

-- name: runs_claim
-- $1 term, $2 node, $3 runs, $4 whether they were handed to this node under this term; else they are nobody's. Those that
-- were still queued, and may still begin, are this node's now; a slot that waited for its run has its verdict; what was
-- settled and handed ahead begins at its slot. (coalesce: without it the planner may prefer a partial index on the state, and walk all of it
-- for each run; the primary key is the way.)
-- States: queued, then this node's; or left alone, as it was claimed, cancelled or too late before. Why nothing is locked
-- to choose among: one leader claims, the fence says that it still is, and who claims twice by mistake gets nothing the
-- second time. `attempt > 0` may begin after start_by: it has begun in time once, and this is its retry.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), mine AS (
    UPDATE sereno.run r SET state = 'running', attempt = least(r.attempt, 2147483646) + 1, node = $2, term = $1,
           token = gen_random_uuid(), finished_at = NULL, error = NULL, traceback = NULL,
           started_at = CASE WHEN $4::boolean AND r.attempt = 0 AND r.run_at > clock_timestamp() THEN r.run_at
                             ELSE clock_timestamp() END
      FROM fence WHERE r.id = ANY($3::bigint[]) AND coalesce(r.state, '') = 'queued'
       AND CASE WHEN $4 THEN r.node = $2 AND r.term = $1 ELSE r.node IS NULL END
       AND (r.start_by IS NULL OR r.start_by >= clock_timestamp() OR r.attempt > 0)
    RETURNING r.id, r.token, r.job, r.attempt, r.params, r.policies, r.slot, r.upstream, r.trace_context, r.cause,
              r.schedule_id, r.priority, r.run_at, r.started_at, r.on_time_until
), begun AS (  -- on_time_until null: it was late before, and counted, and has been given back
    UPDATE sereno.slot s
       SET verdict = CASE WHEN m.started_at <= m.on_time_until THEN 'ran' ELSE 'late' END,
           reason = CASE WHEN m.started_at <= m.on_time_until OR NOT isfinite(m.slot) THEN NULL
                         ELSE sereno.lateness(m.started_at - m.slot) END,
           term = $1, decided_at = m.started_at
      FROM mine m
     WHERE m.cause = 'slot' AND s.schedule_id = m.schedule_id AND s.slot = m.slot AND s.run_id = m.id AND s.verdict = 'waiting'
    RETURNING s.run_id, s.verdict, s.reason, m.job, m.on_time_until
), counted AS (
    UPDATE sereno.job_stat j SET late = least(j.late, 1::bigint << 62) + c.n
      FROM (SELECT job, count(*) AS n FROM begun WHERE verdict = 'late' AND on_time_until IS NOT NULL GROUP BY job) c
     WHERE j.job = c.job
)
SELECT mine.id, mine.token, mine.job, mine.attempt, mine.params, mine.policies, mine.slot, mine.upstream, mine.trace_context,
       mine.cause, p.checkpoint, (SELECT s.name FROM sereno.schedule s WHERE s.id = mine.schedule_id) AS schedule,
       begun.verdict, begun.reason, z.snoozes, z.snoozed_since
  FROM mine LEFT JOIN sereno.run_progress p ON p.run_id = mine.id AND mine.attempt > 1
  LEFT JOIN LATERAL (  -- of those that have begun before alone
      SELECT count(*) AS snoozes, min(a.started_at) AS snoozed_since
        FROM sereno.attempt a WHERE a.run_id = mine.id AND a.state = 'snoozed') z ON mine.attempt > 1
  LEFT JOIN begun ON begun.run_id = mine.id
 ORDER BY mine.priority DESC, mine.run_at, mine.id;

-- name: runs_hand_over
-- $1 term, $2 runs, $3 the node of each, $4 our name of a node's channel, $5 the node that parts name while they wait (null:
-- these are no parts), $6 a node that is not told, $7 of each the executor for a place of which it stands in line there (null:
-- one is free). What still waits is handed to those nodes, which are told in as many messages as they are, of those in line in
-- another one; it has not begun, and costs no attempt. Returns what was handed.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), handed AS (
    UPDATE sereno.run r SET node = u.node, term = $1
      FROM fence, unnest($2::bigint[], $3::uuid[], $7::text[]) WITH ORDINALITY AS u(id, node, line, nth)
     WHERE r.id = u.id AND coalesce(r.state, '') = 'queued' AND r.node IS NOT DISTINCT FROM $5::uuid
       AND (r.start_by IS NULL OR r.start_by >= clock_timestamp() OR r.attempt > 0)
    RETURNING r.id, r.node, r.attempt, u.line, u.nth
), told AS MATERIALIZED (
    SELECT count(pg_notify($4::text || node, CASE WHEN $5 IS NOT NULL THEN 'parts ' WHEN line IS NULL THEN 'handed '
                                                  ELSE 'line ' END || $1::bigint || ' ' || ids || coalesce(' ' || line, '')))
           AS nodes
      FROM (SELECT node, line, string_agg(id::text, ',' ORDER BY nth) AS ids FROM handed
             WHERE node IS DISTINCT FROM $6::uuid GROUP BY node, line) AS n
)
SELECT id, attempt FROM handed, told;

-- name: runs_hand_back
-- $1 term, $2 runs, null: all that were handed over under another term. Those that their node has not claimed wait again.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
)
UPDATE sereno.run r SET node = NULL FROM fence
 WHERE r.state = 'queued' AND r.node IS NOT NULL
   AND CASE WHEN $2::bigint[] IS NULL THEN r.term IS DISTINCT FROM $1 ELSE r.id = ANY($2::bigint[]) AND r.term = $1 END
RETURNING r.id;

-- name: runs_expire
-- $1 term, $2 runs. Those that have waited beyond the instant by which they were to begin end unbegun: their slots are
-- missed. (What `catch_up="none"` leaves out may begin for its grace, and says so.) Returns them.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), ended AS (
    UPDATE sereno.run r SET state = 'cancelled', finished_at = clock_timestamp(),
           error = 'it was to begin by ' || to_char(r.start_by AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')
                   || ' UTC, and waited for its place until then',
           params = sereno.without_secrets(r.params, (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job))
      FROM fence WHERE r.id = ANY($2::bigint[]) AND coalesce(r.state, '') = 'queued' AND r.attempt = 0
       AND r.start_by < clock_timestamp()
    RETURNING r.id, r.job, r.schedule_id, r.slot, r.finished_at, r.error, r.policies,
              r.start_by = r.on_time_until AS by_grace
), missed AS (
    UPDATE sereno.slot s
       SET verdict = 'missed', term = $1, decided_at = e.finished_at,
           reason = CASE WHEN e.by_grace AND 'none' = coalesce(
                                  e.policies ->> 'catch_up',
                                  (SELECT j.policies ->> 'catch_up' FROM sereno.job j WHERE j.name = e.job))
                         THEN 'later than its grace, and catch_up is none' ELSE 'later than its start_by' END
      FROM ended e WHERE s.schedule_id = e.schedule_id AND s.slot = e.slot AND s.run_id = e.id AND s.verdict = 'waiting'
    RETURNING s.run_id, s.reason, e.job
), counted AS (
    UPDATE sereno.job_stat j
       SET cancelled = least(j.cancelled, 1::bigint << 62) + c.n, expired = least(j.expired, 1::bigint << 62) + c.n,
           missed = least(j.missed, 1::bigint << 62) + (SELECT count(*) FROM missed m WHERE m.job = j.job),
           last_end_at = greatest(j.last_end_at, c.end_at),
           last_state = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN 'cancelled' ELSE j.last_state END,
           last_run = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN c.last_run ELSE j.last_run END,
           last_duration = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN NULL ELSE j.last_duration END
      FROM (SELECT job, count(*) AS n, max(finished_at) AS end_at,
                   (array_agg(id ORDER BY finished_at DESC, id DESC))[1] AS last_run FROM ended GROUP BY job) c
     WHERE j.job = c.job
)
SELECT e.id, e.job, e.slot, e.error, m.reason, (SELECT s.name FROM sereno.schedule s WHERE s.id = e.schedule_id) AS schedule
  FROM ended e LEFT JOIN missed m ON m.run_id = e.id ORDER BY e.id;

-- name: queue_claim_first
-- $1 term, $2 node, $3 jobs of which one more may start, $4 concurrency keys in use. The first run whose instant has
-- come is this node's now; none when its schedule overrides policies, which may forbid it, when its slot waits for it, and
-- when several wait that have keys, as it is to be seen whose turn it is.
WITH keyed AS MATERIALIZED (
    SELECT id, priority, run_at, job, start_by, attempt, concurrency_key FROM sereno.run
     WHERE state = 'queued' AND concurrency_key IS NOT NULL AND node IS NULL LIMIT 2
), first AS MATERIALIZED (
    SELECT c.id FROM (
        (SELECT id, priority, run_at FROM sereno.run
          WHERE state = 'queued' AND concurrency_key IS NULL AND run_at <= clock_timestamp() AND job = ANY($3::text[])
            AND node IS NULL
            AND (start_by IS NULL OR start_by >= clock_timestamp() OR attempt > 0)
          ORDER BY priority DESC, run_at, id LIMIT 1)
        UNION ALL
        SELECT k.id, k.priority, k.run_at FROM keyed k
         WHERE k.run_at <= clock_timestamp() AND k.job = ANY($3::text[])
           AND (k.start_by IS NULL OR k.start_by >= clock_timestamp() OR k.attempt > 0)
           AND k.concurrency_key <> ALL($4::text[])) AS c
     WHERE (SELECT count(*) FROM keyed) < 2
     ORDER BY c.priority DESC, c.run_at, c.id LIMIT 1
), fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), mine AS (
    UPDATE sereno.run r SET state = 'running', attempt = least(r.attempt, 2147483646) + 1, node = $2, term = $1,
           token = gen_random_uuid(), started_at = clock_timestamp(), finished_at = NULL, error = NULL, traceback = NULL
      FROM fence, first WHERE r.id = first.id AND coalesce(r.state, '') = 'queued' AND r.policies IS NULL AND r.node IS NULL
       AND r.on_time_until IS NULL
    RETURNING r.id, r.token, r.job, r.attempt, r.params, r.policies, r.slot, r.upstream, r.trace_context, r.cause,
              r.schedule_id, r.concurrency_key
)
SELECT mine.*, p.checkpoint, (SELECT s.name FROM sereno.schedule s WHERE s.id = mine.schedule_id) AS schedule,
       z.snoozes, z.snoozed_since
  FROM mine LEFT JOIN sereno.run_progress p ON p.run_id = mine.id AND mine.attempt > 1
  LEFT JOIN LATERAL (
      SELECT count(*) AS snoozes, min(a.started_at) AS snoozed_since
        FROM sereno.attempt a WHERE a.run_id = mine.id AND a.state = 'snoozed') z ON mine.attempt > 1;

-- name: runs_active
-- Every queued or running run of a schedule, and every running one: what a new leader must know of. (Of jobs of a scope it
-- counts parts that run alone; those hold up no slot but that of their place.)
SELECT id, token, job, state, node, CASE WHEN backfill IS NULL AND part_of IS NULL THEN schedule_id END AS schedule_id,
       concurrency_key, attempt, losses, policies, start_by, started_at FROM sereno.run
 WHERE (state = 'running' AND place_id IS DISTINCT FROM '*')
    OR (state = 'queued' AND schedule_id IS NOT NULL AND backfill IS NULL AND place_id IS NULL);

-- name: runs_states
-- $1 runs. The state of each, null when it is gone.
SELECT i AS id, r.state FROM unnest($1::bigint[]) AS i LEFT JOIN sereno.run r ON r.id = i;

-- name: outcomes_write
-- $1 node, $2 runs, $3 tokens, $4 started, $5 finished, $6 states, $7 the state that all have where $6 is null, $8 results, $9
-- the result of all where $8 is null, $10 errors, $11 tracebacks, $12 retry instants, $13 unbegun, $14 what an attempt became
-- whose run is queued again, $15 true where the job has secret params, which end with the run (null for any of the last six:
-- none has it). What was never begun has no attempt, and its slot waits again or, when it is over, was skipped. Each only
-- while this node owns that attempt, and nobody holds its row: a transaction that a job left open may hold up its own run's
-- outcome, but no other's. Returns what was written.
WITH o AS (
    SELECT id, token, coalesce(state, $7::text) AS state, started_at, finished_at, coalesce(result, $9::jsonb) AS result, error,
           traceback, retry_at, coalesce(unbegun, false) AS unbegun, coalesce(became, 'failed') AS became, secret
      FROM unnest($2::bigint[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::text[], $8::jsonb[],
                  $10::text[], $11::text[], $12::timestamptz[], $13::boolean[], $14::text[], $15::boolean[])
        AS o(id, token, started_at, finished_at, state, result, error, traceback, retry_at, unbegun, became, secret)
), mine AS MATERIALIZED (  -- lateral: by the primary key, one after another, whatever the planner believes
    SELECT o.* FROM o, LATERAL (
        SELECT r.id FROM sereno.run r
         WHERE r.id = o.id AND r.token = o.token AND r.node = $1
           AND coalesce(r.state, '') = 'running'
           FOR NO KEY UPDATE SKIP LOCKED
    ) AS held
), done AS (
    UPDATE sereno.run r
       SET state = o.state, started_at = CASE WHEN o.unbegun THEN NULL ELSE o.started_at END,
           finished_at = CASE WHEN o.state = 'queued' THEN NULL ELSE o.finished_at END,
           result = o.result, error = CASE WHEN o.became <> 'snoozed' THEN o.error END, traceback = o.traceback,
           params = CASE WHEN o.secret AND o.state <> 'queued'
                         THEN sereno.without_secrets(r.params, (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job)) ELSE r.params END,
           run_at = coalesce(o.retry_at, r.run_at),
           attempt = CASE WHEN o.unbegun THEN r.attempt - 1 ELSE r.attempt END,
           on_time_until = CASE WHEN o.unbegun AND EXISTS (  -- late, and counted: it is not to count again
                                     SELECT 1 FROM sereno.slot s WHERE s.schedule_id = r.schedule_id AND s.slot = r.slot
                                        AND s.run_id = r.id AND s.verdict = 'late') THEN NULL ELSE r.on_time_until END,
           losses = CASE WHEN 'lost' IN (o.state, o.became) THEN least(r.losses, 2147483646) + 1 ELSE r.losses END,
           node = CASE WHEN o.state = 'queued' THEN NULL ELSE r.node END
      FROM mine AS o WHERE r.id = o.id
    RETURNING r.id, r.token, r.job, r.attempt, r.term, o.state, r.started_at, o.finished_at, o.error, o.traceback,
              o.unbegun, o.became, r.schedule_id, r.slot, r.backfill, r.part_of, o.unbegun AND r.attempt = 0 AND r.cause = 'slot' AS slot_unbegun
), unbegun AS (
    UPDATE sereno.slot s SET verdict = CASE WHEN d.state = 'queued' THEN 'waiting' ELSE 'skipped' END,
           reason = CASE WHEN d.state <> 'queued' THEN coalesce(d.error, d.state) END, decided_at = d.finished_at
      FROM done d
     WHERE d.slot_unbegun AND s.schedule_id = d.schedule_id AND s.slot = d.slot AND s.run_id = d.id
), ended AS (
    INSERT INTO sereno.attempt (run_id, attempt, token, state, node, term, started_at, finished_at, error, traceback)
    SELECT id, attempt, token, became, $1, term, started_at, finished_at, error, traceback
      FROM done WHERE state = 'queued' AND NOT unbegun
), counted AS (
    UPDATE sereno.job_stat j
       SET succeeded = least(j.succeeded, 1::bigint << 62) + c.succeeded,
           failed = least(j.failed, 1::bigint << 62) + c.failed,
           timed_out = least(j.timed_out, 1::bigint << 62) + c.timed_out,
           cancelled = least(j.cancelled, 1::bigint << 62) + c.cancelled, lost = least(j.lost, 1::bigint << 62) + c.lost,
           retried = least(j.retried, 1::bigint << 62) + c.retried,
           skipped = least(j.skipped, 1::bigint << 62) + c.skipped,
           last_success_at = greatest(j.last_success_at, c.success_at), last_end_at = greatest(j.last_end_at, c.end_at),
           last_state = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN c.last_state ELSE j.last_state END,
           last_run = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN c.last_run ELSE j.last_run END,
           last_duration = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN c.last_duration
                                ELSE j.last_duration END
      FROM (SELECT job, count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
                   count(*) FILTER (WHERE state = 'failed') AS failed,
                   count(*) FILTER (WHERE state = 'timed_out') AS timed_out,
                   count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
                   count(*) FILTER (WHERE state = 'lost') AS lost,
                   count(*) FILTER (WHERE state = 'queued' AND NOT unbegun AND became <> 'snoozed') AS retried,
                   count(*) FILTER (WHERE slot_unbegun AND state <> 'queued') AS skipped,
                   max(finished_at) FILTER (WHERE state = 'succeeded' AND backfill IS NULL AND part_of IS NULL) AS success_at,
                   max(finished_at) FILTER (WHERE state <> 'queued') AS end_at,
                   (array_agg(state ORDER BY finished_at DESC) FILTER (WHERE state <> 'queued'))[1] AS last_state,
                   (array_agg(id ORDER BY finished_at DESC) FILTER (WHERE state <> 'queued'))[1] AS last_run,
                   (array_agg(finished_at - started_at ORDER BY finished_at DESC) FILTER (WHERE state <> 'queued'))[1]
                       AS last_duration
              FROM done GROUP BY job) c
     WHERE j.job = c.job
)
SELECT id, token, job, state FROM done;

-- name: outcomes_left
-- $1 node, $2 runs, $3 tokens, $4 states, $5 finished, $6 retry instants: outcomes that were not written. Those that are
-- held up, and those that were written before.
SELECT o.token, coalesce(r.state, '') = 'running' AS held
  FROM unnest($2::bigint[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
       AS o(id, token, state, finished_at, retry_at)
  JOIN sereno.run r ON r.id = o.id AND r.token = o.token
 WHERE (coalesce(r.state, '') = 'running' AND r.node = $1)
    OR (r.state = o.state AND (r.finished_at = o.finished_at OR (o.state = 'queued' AND r.run_at = o.retry_at)));

-- name: runs_over
-- Wakes the leader when it is another node than the one whose runs ended.
SELECT pg_notify('sereno', 'over');

-- name: leader_told
-- $1 our name of a node's channel, $2 messages. Tells the leader, on its own channel.
SELECT count(pg_notify($1::text || l.node, m)) FROM sereno.leadership l, unnest($2::text[]) AS m WHERE l.node IS NOT NULL;

-- name: chain_single
-- $1 downstream jobs, $2 upstream runs, $3 their traces. Queues a run of each downstream job with the upstream run's
-- result and what is handed on, below its attempt's span, or else below what the upstream run was asked for with. Returns
-- the job, run and upstream job of those that the leader has chained otherwise by now: a replica that drains may be of
-- older code. Nothing follows an `alone` run, nor one whose whole chain somebody has cancelled.
WITH d AS (
    SELECT d.job, d.run_id, r.job AS upstream, r.result, j.policies, coalesce(d.trace_context, r.trace_context) AS trace,
           j.after = ARRAY[r.job] AS single,
           CASE WHEN j.params_from IS NULL THEN '{}'
                ELSE sereno.handed_on(j.params_from, jsonb_build_object(
                         r.job, jsonb_build_object('params', r.params, 'result', r.result))) END AS params
      FROM unnest($1::text[], $2::bigint[], $3::text[]) AS d(job, run_id, trace_context)
      JOIN sereno.run r ON r.id = d.run_id JOIN sereno.job j ON j.name = d.job
     WHERE r.alone IS NOT TRUE AND r.part_of IS NULL
       AND NOT EXISTS (SELECT 1 FROM sereno.cancel_request c WHERE c.run_id = r.id AND c.chain)
), made AS (
    INSERT INTO sereno.run (job, cause, priority, params, upstream, concurrency_key, requested_by, trace_context, start_by)
    SELECT job, 'chain', coalesce(sereno.priority(policies), 0), params, jsonb_build_object(upstream, result),
           CASE WHEN params = '{}' THEN policies ->> 'concurrency_key'
                ELSE (sereno.concurrency_keys(policies ->> 'concurrency_key', ARRAY[params]))[1] END,
           'run ' || run_id, trace, sereno.begin_by(clock_timestamp(), policies)
      FROM d WHERE single
)
SELECT job, run_id, upstream FROM d WHERE NOT single;

-- name: chain_turn
-- $1 downstream job. Two upstreams that end at once must not both think the other is missing.
SELECT name FROM sereno.job WHERE name = $1 FOR UPDATE;

-- name: chain_arrive
-- $1 downstream job, $2 upstream run, $3 its trace. Nothing when it is not chained after that any more.
INSERT INTO sereno.chain_arrival (downstream, upstream, run_id, result, params, trace_context)
SELECT $1, r.job, r.id, r.result, CASE WHEN j.params_from IS NOT NULL THEN r.params END, coalesce($3, r.trace_context)
  FROM sereno.run r JOIN sereno.job j ON j.name = $1 AND r.job = ANY(j.after)
 WHERE r.id = $2 AND r.alone IS NOT TRUE AND r.part_of IS NULL
   AND NOT EXISTS (SELECT 1 FROM sereno.cancel_request c WHERE c.run_id = r.id AND c.chain)
ON CONFLICT (downstream, upstream) DO UPDATE
    SET run_id = excluded.run_id, result = excluded.result, params = excluded.params, trace_context = excluded.trace_context;

-- name: chain_complete
-- $1 downstream job, $2 the upstream job that came last. Queues one run once all have arrived, and takes the arrivals.
-- The trace of the last is its parent, those of the others are linked.
WITH known AS (
    SELECT after, policies, params_from FROM sereno.job WHERE name = $1
), every AS (
    SELECT count(*) = cardinality(known.after) AS here, known.after
      FROM known JOIN sereno.chain_arrival a ON a.downstream = $1 AND a.upstream = ANY(known.after) GROUP BY known.after
), used AS (
    DELETE FROM sereno.chain_arrival a USING every
     WHERE every.here AND a.downstream = $1 AND a.upstream = ANY(every.after)
    RETURNING a.upstream, a.run_id, a.result, a.params, a.trace_context
), whole AS (
    SELECT jsonb_object_agg(upstream, result) AS upstream,
           'runs ' || string_agg(run_id::text, ', ' ORDER BY run_id) AS asker,
           string_agg(trace_context, ' ' ORDER BY upstream <> $2, upstream) AS trace,
           (SELECT CASE WHEN known.params_from IS NULL THEN '{}'
                        ELSE sereno.handed_on(known.params_from, jsonb_object_agg(
                                 u.upstream, jsonb_build_object('params', u.params, 'result', u.result))) END
              FROM known, used u GROUP BY known.params_from) AS params
      FROM used HAVING count(*) > 0
)
INSERT INTO sereno.run (job, cause, priority, params, upstream, concurrency_key, requested_by, trace_context, start_by)
SELECT $1, 'chain', coalesce(sereno.priority(known.policies), 0), whole.params, whole.upstream,
       CASE WHEN whole.params = '{}' THEN known.policies ->> 'concurrency_key'
            ELSE (sereno.concurrency_keys(known.policies ->> 'concurrency_key', ARRAY[whole.params]))[1] END,
       whole.asker, whole.trace, sereno.begin_by(clock_timestamp(), known.policies)
  FROM whole, known
RETURNING id;

-- name: trace_keep
-- $1 runs, $2 traces. A run that is tried again goes on in its first attempt's trace, unless it was asked for with one.
UPDATE sereno.run r SET trace_context = t.context FROM unnest($1::bigint[], $2::text[]) AS t(id, context)
 WHERE r.id = t.id AND r.trace_context IS NULL;

-- name: progress_write
-- $1 node, $2 runs, $3 attempts, $4 tokens, $5 done, $6 total, $7 notes, $8 checkpoints (null: keep the old)
INSERT INTO sereno.run_progress AS old (run_id, done, total, note, checkpoint)
SELECT u.id, u.done, u.total, u.note, u.checkpoint
  FROM unnest($2::bigint[], $3::integer[], $4::uuid[], $5::float8[], $6::float8[], $7::text[], $8::jsonb[])
       AS u(id, attempt, token, done, total, note, checkpoint)
  JOIN sereno.run r ON r.id = u.id AND r.node = $1 AND r.attempt = u.attempt AND r.token = u.token AND r.state = 'running'
   FOR SHARE OF r  -- an outcome waits for words under way, so that older ones never replace its own
ON CONFLICT (run_id) DO UPDATE SET done = coalesce(excluded.done, old.done), total = coalesce(excluded.total, old.total),
    note = coalesce(excluded.note, old.note), checkpoint = coalesce(excluded.checkpoint, old.checkpoint),
    updated_at = clock_timestamp();

-- name: lines_write
-- $1 node, $2 runs, $3 attempts, $4 tokens, $5 numbers, $6 instants, $7 levels, $8 loggers, $9 messages. Each only while
-- this node owns that attempt; $1 null, and then $4: this transaction has written its outcome.
INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)
SELECT u.run_id, u.attempt, u.line, u.at, u.level, u.logger, u.message
  FROM unnest($2::bigint[], $3::integer[], $4::uuid[], $5::integer[], $6::timestamptz[], $7::text[], $8::text[], $9::text[])
       AS u(run_id, attempt, token, line, at, level, logger, message)
 WHERE $1::uuid IS NULL OR EXISTS (SELECT 1 FROM sereno.run r
                                    WHERE r.id = u.run_id AND r.node = $1 AND r.attempt = u.attempt AND r.token = u.token
                                      AND r.state = 'running')
ON CONFLICT DO NOTHING;

-- name: warnings_write
-- $1 node, $2 runs, $3 attempts, $4 tokens, $5 numbers, $6 messages, $7 how often so far. Each only while this node owns
-- that attempt; $1 null: this transaction has written its outcome. The job's count grows by what is new, so that the same
-- written again counts nothing.
WITH said AS (
    SELECT u.*, r.job FROM unnest($2::bigint[], $3::integer[], $4::uuid[], $5::integer[], $6::text[], $7::bigint[])
           AS u(run_id, attempt, token, number, message, times)
      JOIN sereno.run r ON r.id = u.run_id
     WHERE $1::uuid IS NULL OR (r.node = $1 AND r.attempt = u.attempt AND r.token = u.token AND r.state = 'running')
       FOR SHARE OF r  -- an outcome waits for what is under way, as for words
), kept AS (
    INSERT INTO sereno.run_warning AS old (run_id, attempt, number, message, times)
    SELECT run_id, attempt, number, message, times FROM said
    ON CONFLICT (run_id, attempt, number) DO UPDATE SET times = excluded.times, last_at = clock_timestamp()
     WHERE old.times < excluded.times
    RETURNING run_id, attempt, number, times
)
UPDATE sereno.job_stat j SET warnings = least(j.warnings, 1::bigint << 62) + c.n
  FROM (SELECT s.job, sum(k.times - greatest(b.times, 0))::bigint AS n
          FROM kept k JOIN said s USING (run_id, attempt, number)
          LEFT JOIN sereno.run_warning b USING (run_id, attempt, number)  -- as it was before this statement
         GROUP BY s.job) c
 WHERE j.job = c.job;

-- name: run_fence
-- $1 run, $2 attempt, $3 node, $4 token. No row when the run has another owner; otherwise it gets none until this
-- transaction ends. FOR SHARE, as several transactions of one job may hold it at once, while each statement that ends, loses
-- or claims the run updates the row and has to wait, or skips it (`outcomes_write`, so that one left open holds up its own
-- run alone). What the job writes in that transaction is therefore committed while the run is its own, or not at all.
SELECT id FROM sereno.run WHERE id = $1 AND attempt = $2 AND node = $3 AND token = $4 AND state = 'running' FOR SHARE;

-- name: fan_out
-- $1 run, $2 job, $3 a JSON array of params as text, $4 the job once all are over, $5 its params as text, $6 on_failure,
-- $7 key, $8 priority, $9 trace_context; in a transaction that has fenced the run. Its id, how many they are, and whether it
-- is new, as one array: a caller's own connection reads the first column.
SELECT ARRAY[f.id, f.total, f.is_new::integer] FROM sereno.fan_out(
       $1::bigint, $2::text, ARRAY(SELECT e.value FROM jsonb_array_elements($3::text::jsonb) WITH ORDINALITY AS e (value, n)
                                    ORDER BY e.n),
       $4::text, $5::text::jsonb, $6::text, $7::text, $8::integer, $9::text) AS f;

-- name: cancel_request
-- $1 run, $2 by, $3 reason. A queued run ends at once, and a slot that waited for it was skipped; a running one is asked
-- to. Returns its state, or no row. (One that is claimed at this moment is asked.)
WITH target AS (
    SELECT id, state FROM sereno.run WHERE id = $1
), queued AS (
    UPDATE sereno.run r SET state = 'cancelled', finished_at = clock_timestamp(),
           error = 'cancelled by ' || $2::text || coalesce(': ' || nullif($3::text, ''), ''),
           params = sereno.without_secrets(r.params, (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job))
     WHERE id = $1 AND state = 'queued' RETURNING id, job, schedule_id, slot, attempt, finished_at, error
), skipped AS (
    UPDATE sereno.slot s SET verdict = 'skipped', reason = q.error || ', before it began', decided_at = q.finished_at
      FROM queued q WHERE q.attempt = 0 AND s.schedule_id = q.schedule_id AND s.slot = q.slot AND s.run_id = q.id
       AND s.verdict = 'waiting'
    RETURNING s.run_id
), counted AS (
    UPDATE sereno.job_stat j
       SET cancelled = least(j.cancelled, 1::bigint << 62) + 1,
           skipped = least(j.skipped, 1::bigint << 62) + (SELECT count(*) FROM skipped),
           last_end_at = greatest(j.last_end_at, q.finished_at),
           last_state = CASE WHEN q.finished_at >= coalesce(j.last_end_at, '-infinity') THEN 'cancelled' ELSE j.last_state END,
           last_run = CASE WHEN q.finished_at >= coalesce(j.last_end_at, '-infinity') THEN q.id ELSE j.last_run END,
           last_duration = CASE WHEN q.finished_at >= coalesce(j.last_end_at, '-infinity') THEN NULL ELSE j.last_duration END
      FROM queued q WHERE j.job = q.job
), asked AS (
    INSERT INTO sereno.cancel_request (run_id, requested_by, reason)
    SELECT id, $2, $3 FROM target WHERE state IN ('queued', 'running') ON CONFLICT DO NOTHING
), told AS (
    SELECT pg_notify('sereno', 'cancel')
)
SELECT CASE WHEN queued.id IS NOT NULL THEN 'cancelled' WHEN target.state = 'queued' THEN 'running' ELSE target.state END
       AS state
  FROM target LEFT JOIN queued ON queued.id = target.id, told;

-- name: cancel_requests
-- $1 node. Attempts of this node that somebody wants to stop.
SELECT r.token, c.requested_by, c.reason FROM sereno.cancel_request c
  JOIN sereno.run r ON r.id = c.run_id WHERE r.state = 'running' AND r.node = $1;

-- name: absent_owners
-- $1 class. Nodes that own runs though their presence lock is gone, or kept by a session that does not bear their name
-- while they have not been seen for a minute; `sessions`: connections they still have.
SELECT n.id, n.label, (SELECT count(*) FROM pg_stat_activity a WHERE a.application_name = 'sereno ' || n.id) AS sessions
  FROM (SELECT DISTINCT node FROM sereno.run WHERE state = 'running') r JOIN sereno.node n ON n.id = r.node
 WHERE NOT EXISTS (SELECT 1 FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                    WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = n.key::oid
                      AND l.objsubid = 2 AND l.granted
                      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                      AND (a.application_name = 'sereno ' || n.id
                           OR n.seen_at > clock_timestamp() - interval '1 minute'));

-- name: runs_of
-- $1 node. Its running runs.
SELECT id, token, job, attempt, losses, policies, started_at, place_id AS place FROM sereno.run WHERE state = 'running' AND node = $1;

-- name: runs_lose
-- $1 term, $2 node that is gone, $3 runs, $4 attempts, $5 tokens (null: claimed by a replica that knew of none), $6 again
-- (true: queue, false: lost), $7 error. Rows that a job's open transaction fences are left for later.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), picked AS (
    SELECT r.id, u.again FROM unnest($3::bigint[], $4::integer[], $5::uuid[], $6::boolean[]) AS u(id, attempt, token, again)
      JOIN sereno.run r ON r.id = u.id AND r.attempt = u.attempt AND r.token IS NOT DISTINCT FROM u.token
     WHERE r.node = $2 AND coalesce(r.state, '') = 'running' FOR UPDATE OF r SKIP LOCKED
), gone AS (
    UPDATE sereno.run r SET state = CASE WHEN p.again THEN 'queued' ELSE 'lost' END, losses = least(r.losses, 2147483646) + 1,
           finished_at = CASE WHEN p.again THEN NULL ELSE clock_timestamp() END,
           error = $7, node = CASE WHEN p.again THEN NULL ELSE r.node END,
           params = CASE WHEN p.again THEN r.params ELSE sereno.without_secrets(r.params, (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job)) END
      FROM picked p, fence WHERE r.id = p.id
    RETURNING r.id, r.token, r.job, r.attempt, r.started_at, r.finished_at, r.state, r.term AS old_term, r.schedule_id, r.slot
), ended AS (
    INSERT INTO sereno.attempt (run_id, attempt, token, state, node, term, started_at, finished_at, error)
    SELECT id, attempt, token, 'lost', $2, old_term, started_at, clock_timestamp(), $7 FROM gone WHERE state = 'queued'
), counted AS (
    UPDATE sereno.job_stat j
       SET lost = least(j.lost, 1::bigint << 62) + c.n, last_end_at = greatest(j.last_end_at, c.end_at),
           last_state = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN 'lost' ELSE j.last_state END,
           last_run = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN c.last_run ELSE j.last_run END,
           last_duration = CASE WHEN c.end_at >= coalesce(j.last_end_at, '-infinity') THEN c.last_duration
                                ELSE j.last_duration END
      FROM (SELECT job, count(*) AS n, max(finished_at) AS end_at,
                   (array_agg(id ORDER BY finished_at DESC, id DESC))[1] AS last_run,
                   (array_agg(finished_at - started_at ORDER BY finished_at DESC, id DESC))[1] AS last_duration
              FROM gone WHERE state = 'lost' GROUP BY job) c WHERE j.job = c.job
)
SELECT id, job, attempt, state, schedule_id, slot, CASE WHEN isfinite(started_at) THEN clock_timestamp() - started_at ELSE interval '0' END AS lasted FROM gone;
