-- name: straggler_note
-- $1 run, $2 token, $3 kind, $4 executor, $5 node, $6 seconds so far
INSERT INTO sereno.straggler (token, kind, run_id, job, attempt, schedule_id, concurrency_key, executor, node, since, seconds)
SELECT r.token, $3, r.id, r.job, r.attempt, r.schedule_id, r.concurrency_key, $4, $5,
       clock_timestamp() - make_interval(secs => $6), $6
  FROM sereno.run r WHERE r.id = $1 AND r.token = $2
ON CONFLICT (token, kind) DO UPDATE SET seconds = greatest(straggler.seconds, excluded.seconds);

-- name: straggler_forget
-- $1 token, $2 kind
DELETE FROM sereno.straggler WHERE token = $1 AND kind = $2;

-- name: straggler_clear
-- $1 class. Forgets those whose node has gone, for a while, or for good.
DELETE FROM sereno.straggler g
 WHERE NOT EXISTS (SELECT 1 FROM sereno.node n WHERE n.id = g.node AND n.left_at IS NULL
                      AND (n.seen_at > clock_timestamp() - interval '5 minutes'
                           OR EXISTS (SELECT 1 FROM pg_locks l
                                       WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid
                                         AND l.objid = n.key::oid AND l.objsubid = 2 AND l.granted
                                         AND l.database = (SELECT oid FROM pg_database
                                                            WHERE datname = current_database()))));

-- name: stragglers
-- $1 class, $2 whether also those whose node is not there. Those that keep a place.
SELECT g.token, g.run_id, g.job, g.attempt, g.schedule_id, g.concurrency_key, g.executor, g.node, n.label, g.since,
       clock_timestamp() AS now, p.present
  FROM sereno.straggler g JOIN sereno.node n ON n.id = g.node
 CROSS JOIN LATERAL (
       SELECT EXISTS (SELECT 1 FROM pg_locks l
                       WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = n.key::oid
                         AND l.objsubid = 2 AND l.granted
                         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS present) AS p
 WHERE g.kind = 'overstays' AND n.left_at IS NULL AND (p.present OR $2)
 ORDER BY g.since, g.run_id;

-- name: straggler_blocks
-- $1 node. What has held its event loop to the last.
SELECT token, run_id, job, seconds FROM sereno.straggler
 WHERE node = $1 AND kind = 'blocks' AND since + make_interval(secs => seconds) > clock_timestamp() - interval '2 minutes';
