-- Chains: which runs follow which, and what is done to all of them.

-- name: chain_runs
-- $1 runs. What a chain is made of.
SELECT r.id, r.job, r.state, r.cause, r.requested_by, r.repeats, r.fan_out
  FROM sereno.run r WHERE r.id = ANY ($1::bigint[]);

-- name: chain_after
-- $1 runs, $2 at most. The runs that were queued as one of them succeeded: of each job that is chained after its own the
-- first so many are looked at that were queued since, and who asked names the upstream runs. Those that repeat one which did
-- not succeed.
SELECT u.id AS before, d.id AS after FROM sereno.run u JOIN sereno.job j ON u.job = ANY (j.after), LATERAL (
       SELECT r.id, r.cause, r.requested_by FROM sereno.run r
        WHERE (r.job, r.id) > (j.name, u.id) AND (r.job, r.id) < (j.name, 9223372036854775807)
        ORDER BY r.job, r.id LIMIT $2) AS d
 WHERE u.id = ANY ($1::bigint[]) AND u.state = 'succeeded' AND d.cause = 'chain'
   AND u.id::text = ANY (regexp_split_to_array(substr(d.requested_by, strpos(d.requested_by, ' ') + 1), ', '))
UNION ALL
SELECT u.id, d.id FROM sereno.run u, LATERAL (
       SELECT r.id, r.repeats FROM sereno.run r
        WHERE (r.job, r.id) > (u.job, u.id) AND (r.job, r.id) < (u.job, 9223372036854775807)
        ORDER BY r.job, r.id LIMIT $2) AS d
 WHERE u.id = ANY ($1::bigint[]) AND u.state IN ('failed', 'timed_out', 'cancelled', 'lost') AND d.repeats = u.id
 ORDER BY 1, 2;

-- name: chain_fan_outs
-- $1 runs. What they have fanned out to.
SELECT f.id, f.run_id, f.key, f.job, f.join_job, f.join_run, f.on_failure, f.total, f.ended, f.failed, f.rounds,
       f.cancelled_by, f.made_at, f.ended_at,
       EXISTS (SELECT 1 FROM sereno.job j WHERE f.job = ANY (j.after)) AS followed
  FROM sereno.fan_out f WHERE f.run_id = ANY ($1::bigint[]) ORDER BY f.id;

-- name: chain_children
-- $1 fan-out, $2 at most: those that ended badly first, then those that are not over.
SELECT r.id FROM sereno.fan_out f JOIN sereno.run r ON r.id BETWEEN f.first_run AND f.last_run AND r.fan_out = f.id
 WHERE f.id = $1 ORDER BY CASE WHEN r.state = 'succeeded' THEN 2 WHEN r.state IN ('queued', 'running') THEN 1 ELSE 0 END, r.id
 LIMIT $2;

-- name: chain_lock
-- Whoever tries chains again does so one after another, so that nobody repeats a run twice.
SELECT pg_advisory_xact_lock(24190, 15);

-- name: chain_stop
-- $1 runs that are not over, $2 by, $3 reason. Nothing follows them, though one succeeds before it is stopped.
INSERT INTO sereno.cancel_request (run_id, requested_by, reason, chain)
SELECT r.id, $2, $3, true FROM sereno.run r WHERE r.id = ANY ($1::bigint[]) AND r.state IN ('queued', 'running')
ON CONFLICT (run_id) DO UPDATE SET chain = true;

-- name: fan_outs_stop
-- $1 fan-outs, $2 by. Nothing follows when their children are over.
UPDATE sereno.fan_out SET cancelled_by = $2
 WHERE id = ANY ($1::bigint[]) AND join_run IS NULL AND cancelled_by IS NULL;

-- name: fan_out_retry
-- $1 fan-out, $2 its children that are tried again, $3 by. They are its children in the place of those that failed, and what
-- follows comes once more when they are over. Returns their numbers. Raises a sentence when one cannot be repeated.
WITH old AS MATERIALIZED (
    SELECT r.*, sereno.bulk_repeatable(r.id, r.job, r.params) AS fit FROM sereno.run r WHERE r.id = ANY ($2::bigint[])
), again AS (
    INSERT INTO sereno.run (job, cause, priority, params, policies, concurrency_key, upstream, requested_by, trace_context,
                            repeats, tags, alone, fan_out)
    SELECT o.job, 'retry', o.priority, o.params, o.policies, o.concurrency_key, o.upstream, $3 || ', run ' || o.id || ' again',
           o.trace_context, o.id, o.tags, o.alone, $1
      FROM old o WHERE o.fit ORDER BY o.id
    RETURNING id, tags
), tagged AS (
    INSERT INTO sereno.run_tag (tag, run_id) SELECT u.tag, a.id FROM again a, unnest(a.tags) AS u (tag)
), opened AS (
    UPDATE sereno.fan_out f SET ended = f.ended - a.n, failed = f.failed - a.n, ended_at = NULL, cancelled_by = NULL,
           rounds = f.rounds + (f.join_run IS NOT NULL)::integer, join_run = NULL,
           last_run = coalesce(a.last, f.last_run)
      FROM (SELECT count(*) AS n, max(id) AS last FROM again) AS a WHERE f.id = $1
)
SELECT id, pg_notify('sereno', 'run') FROM again ORDER BY id;

-- name: fan_out_resume
-- $1 fan-out whose children are all over, and that somebody had cancelled: what follows comes after all.
UPDATE sereno.fan_out SET cancelled_by = NULL WHERE id = $1 AND cancelled_by IS NOT NULL AND join_run IS NULL;

-- name: fan_out_join
-- $1 fan-out whose children are all over.
SELECT sereno.fan_out_join($1);

-- name: fan_outs_move
-- $1 run that fanned out, $2 the run that repeats it. It finds there what is fanned out already, and queues no child again.
UPDATE sereno.fan_out SET run_id = $2 WHERE run_id = $1;
