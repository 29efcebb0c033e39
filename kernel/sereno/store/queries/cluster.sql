-- A copy of a database becomes a cluster of its own: docs/new-cluster.md. All of it in one transaction, which holds the
-- leader's lock; nobody leads, and no replica is there.

-- name: cluster_here
-- $1 class. The cluster's name, the database's, who is there, and what is or was to be done.
SELECT sereno.cluster_name() AS name, current_database()::text AS database,
       ARRAY(SELECT coalesce(n.label, 'pid ' || l.pid) FROM pg_locks l LEFT JOIN sereno.node n ON n.key::oid = l.objid
              WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid <> 0 AND l.objsubid = 2 AND l.granted
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              ORDER BY 1) AS present,
       (SELECT count(*) FROM sereno.run r WHERE r.state = 'running') AS running,
       (SELECT count(*) FROM sereno.run r
         WHERE r.state = 'queued' AND (r.run_at <= clock_timestamp() OR r.attempt > 0 OR r.place_id IS NOT NULL)) AS due,
       (SELECT count(*) FROM sereno.run r
         WHERE r.state = 'queued' AND r.run_at > clock_timestamp() AND r.attempt = 0 AND r.place_id IS NULL) AS later;

-- name: cluster_known
-- Whether this schema is one that has a name.
SELECT to_regprocedure('sereno.cluster_name()') IS NOT NULL;

-- name: cluster_name
-- Empty: nobody has named it.
SELECT sereno.cluster_name();

-- name: cluster_lock
-- $1 class, $2 the leader's number. Whether nobody else has the leader's lock; until the transaction's end.
SELECT pg_try_advisory_xact_lock($1, $2);

-- name: cluster_nodes_forget
-- Replicas of before are none of this cluster.
WITH gone AS (
    UPDATE sereno.node SET left_at = clock_timestamp(), places = NULL WHERE left_at IS NULL RETURNING id
), back AS (
    UPDATE sereno.run SET node = NULL WHERE state = 'queued' AND node IS NOT NULL RETURNING id
)
SELECT (SELECT count(*) FROM gone) AS nodes, (SELECT count(*) FROM back) AS handed;

-- name: cluster_history_differ
-- Have the last history be another than this database's. Returns its id, and the database's that it had; no row
-- where none was.
WITH last AS (
    SELECT t.id, t.database FROM sereno.timeline t ORDER BY t.id DESC LIMIT 1
)
UPDATE sereno.timeline t SET database = -1 FROM last WHERE t.id = last.id RETURNING last.id, last.database;

-- name: cluster_history_enter
-- $1 whether the cluster before goes on with what was due. Terms and numbers go on far ahead. Returns the history's row.
SELECT (e.last).id, (e.last).system, (e.last).timeline, (e.last).seen_at, (e.last).term, (e.last).doubtful_until,
       (e.last).known_until, (e.last).settled_at, (e.last).numbers, $1::boolean AS beside
  FROM sereno.timeline_enter(NULL, NULL) AS e;

-- name: cluster_history_mend
-- $1 the history before, $2 the database that it had, $3 this one, $4 whether the cluster before goes on.
UPDATE sereno.timeline t SET database = CASE t.id WHEN $1 THEN $2 ELSE t.database END, beside = t.id = $3 AND $4
 WHERE t.id IN ($1, $3);

-- name: cluster_orders_end
-- $1 by. Bulks, back-fills and fan-outs that are not over are the work of the cluster before.
WITH bulks AS (
    UPDATE sereno.bulk SET state = 'cancelled', cancelled_by = $1, finished_at = clock_timestamp()
     WHERE state IN ('queued', 'running') RETURNING id
), backfills AS (
    UPDATE sereno.backfill SET state = 'cancelled', cancelled_by = $1, finished_at = clock_timestamp()
     WHERE state IN ('queued', 'running') RETURNING id
), fans AS (
    UPDATE sereno.fan_out SET cancelled_by = $1 WHERE ended_at IS NULL AND cancelled_by IS NULL RETURNING id
), messages AS (
    UPDATE sereno.message SET routed_at = clock_timestamp(), carriers = 0 WHERE routed_at IS NULL RETURNING id
)
SELECT (SELECT count(*) FROM bulks) AS bulks, (SELECT count(*) FROM backfills) AS backfills,
       (SELECT count(*) FROM fans) AS fan_outs, (SELECT count(*) FROM messages) AS messages;

-- name: cluster_runs_end
-- $1 due up to, $2 error. What was at work, and what was due and waited, for its turn or its next attempt, is the work of
-- the cluster before: it may have run. So are parts at places that are there.
WITH gone AS (
    UPDATE sereno.run r SET state = 'lost', finished_at = clock_timestamp(), error = $2,
           params = sereno.without_secrets(r.params, (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job))
     WHERE r.state = 'running' OR (r.state = 'queued' AND (r.run_at <= $1 OR r.attempt > 0 OR r.place_id IS NOT NULL))
    RETURNING r.id, r.job, r.slot, r.schedule_id, r.finished_at
), missed AS (
    UPDATE sereno.slot s SET verdict = 'missed', reason = $2, decided_at = gone.finished_at
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
SELECT (SELECT count(*) FROM gone) AS runs;

-- name: cluster_plugins_begin
-- $1 whether the cluster before goes on. Schemas of plugins settle what is theirs.
SELECT schema FROM sereno.cluster_begins_for_plugins($1) AS schema;

-- name: cluster_record
-- $1 name, $2 by, $3 what was done. The trail tells of it.
WITH made AS (
    INSERT INTO sereno.cluster (name, begun_by) VALUES ($1, $2) RETURNING name
)
INSERT INTO sereno.change (by, subject, action, reason, after)
SELECT $2, 'cluster ' || made.name, 'new_cluster', '', $3::jsonb FROM made;
