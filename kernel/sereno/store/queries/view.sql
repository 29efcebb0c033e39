-- What people are shown: read by the command line and the console, written by nobody.

-- name: view_jobs
-- Every job that is declared now or has left runs behind, with its counts and what waits and runs.
SELECT j.name, j.plugin, j.description, j.present, j.severity, j.after, j.policies,
       t.last_success_at, t.last_end_at, t.last_state, t.last_run, t.last_duration,
       coalesce(t.succeeded, 0) AS succeeded, coalesce(t.failed, 0) AS failed, coalesce(t.missed, 0) AS missed,
       coalesce(q.n, 0) AS queued, coalesce(x.n, 0) AS running, clock_timestamp() AS now
  FROM sereno.job j
  LEFT JOIN sereno.job_stat t ON t.job = j.name
  LEFT JOIN (SELECT job, count(*) AS n FROM sereno.run WHERE state = 'queued' GROUP BY job) q ON q.job = j.name
  LEFT JOIN (SELECT job, count(*) AS n FROM sereno.run WHERE state = 'running' GROUP BY job) x ON x.job = j.name
 ORDER BY j.name;

-- name: view_job_names
SELECT name FROM sereno.job;

-- name: view_schedules
-- $1 job or schedule, null: all. Each schedule that is not removed, as it stands.
SELECT s.id, s.name, s.job, s.origin, s.state, s.paused_until, s.paused_by, s.paused_reason,
       s.overrides <> '{}' AS overridden, w.next_slot, w.settled_to, v.version AS v_version, v.valid_from, v.trigger,
       v.starts_at, v.ends_at, v.jitter, v.params, v.policies, clock_timestamp() AS now
  FROM sereno.schedule s
  JOIN sereno.watermark w ON w.schedule_id = s.id
  JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
 WHERE s.state <> 'removed' AND ($1::text IS NULL OR s.job = $1 OR s.name = $1)
 ORDER BY s.job, s.name;

-- name: view_run
-- $1 run
SELECT r.id, r.job, r.state, r.cause, s.name AS schedule, r.slot, r.priority, r.run_at, r.queued_at, r.started_at,
       r.finished_at, r.attempt, coalesce(n.label, left(r.node::text, 8)) AS node, r.term, r.requested_by, r.error,
       r.repeats, p.done, p.total, p.note, r.params, r.result, r.traceback, r.upstream, r.unique_key, r.concurrency_key,
       r.losses, r.trace_context, p.checkpoint, c.requested_by AS cancelled_by, c.requested_at AS cancelled_at,
       c.reason AS cancel_reason, k.reason AS verdict_reason, clock_timestamp() AS now,
       CASE WHEN k.run_id = r.id AND k.verdict = 'ran' AND r.state = 'queued' AND r.attempt = 0 THEN 'waiting'
            ELSE k.verdict END AS verdict,
       (SELECT j.secrets FROM sereno.job j WHERE j.name = r.job) AS secrets,
       (SELECT least(coalesce(sum(w.times), 0), 1::bigint << 62)::bigint FROM sereno.run_warning w WHERE w.run_id = r.id) AS warnings
  FROM sereno.run r
  LEFT JOIN sereno.schedule s ON s.id = r.schedule_id
  LEFT JOIN sereno.node n ON n.id = r.node
  LEFT JOIN sereno.run_progress p ON p.run_id = r.id
  LEFT JOIN sereno.cancel_request c ON c.run_id = r.id
  LEFT JOIN sereno.slot k ON k.schedule_id = r.schedule_id AND k.slot = r.slot
 WHERE r.id = $1;

-- name: view_attempts
-- $1 run. The attempts before its last, the first first.
SELECT a.attempt, a.state, coalesce(n.label, left(a.node::text, 8)) AS node, a.term, a.started_at, a.finished_at,
       a.error, a.traceback
  FROM sereno.attempt a LEFT JOIN sereno.node n ON n.id = a.node
 WHERE a.run_id = $1 ORDER BY a.attempt;

-- name: view_warnings
-- $1 run. What its attempts have warned of, the first first.
SELECT attempt, message, times, first_at, last_at FROM sereno.run_warning WHERE run_id = $1 ORDER BY attempt, number;

-- name: view_enqueued
-- $1 job, null: all. Runs that wait for their first attempt, each as JSON, the first asked for first.
SELECT json_build_object('job', r.job, 'params', r.params, 'run_at', r.run_at, 'priority', r.priority,
                         'unique_key', r.unique_key)::text
  FROM sereno.run r WHERE r.state = 'queued' AND r.attempt = 0 AND ($1::text IS NULL OR r.job = $1::text) ORDER BY r.id;

-- name: view_lines
-- $1 run, $2 at most. Its last log lines, the oldest first.
SELECT attempt, at, level, logger, message
  FROM (SELECT * FROM sereno.run_log WHERE run_id = $1 ORDER BY attempt DESC, line DESC LIMIT $2) l
 ORDER BY attempt, line;

-- name: view_lines_after
-- $1 run, $2 attempt, $3 line, $4 at most. Its log lines after that one, the oldest first.
SELECT l.run_id, r.job, l.attempt, l.line, l.at, l.level, l.logger, l.message
  FROM sereno.run_log l JOIN sereno.run r ON r.id = l.run_id
 WHERE l.run_id = $1 AND (l.attempt, l.line) > ($2, $3)
 ORDER BY l.attempt, l.line LIMIT $4;

-- name: view_runs_of
-- $1 runs, as they are listed.
SELECT r.id, r.job, r.state, r.cause, s.name AS schedule, r.slot, r.priority, r.run_at, r.queued_at, r.started_at,
       r.finished_at, r.attempt, coalesce(n.label, left(r.node::text, 8)) AS node, r.term, r.requested_by, r.error,
       p.done, p.total, p.note,
       (SELECT least(coalesce(sum(w.times), 0), 1::bigint << 62)::bigint FROM sereno.run_warning w WHERE w.run_id = r.id) AS warnings
  FROM sereno.run r
  LEFT JOIN sereno.schedule s ON s.id = r.schedule_id
  LEFT JOIN sereno.node n ON n.id = r.node
  LEFT JOIN sereno.run_progress p ON p.run_id = r.id
 WHERE r.id = ANY ($1::bigint[]) ORDER BY r.id DESC;

-- name: chain_below
-- $1 run, $2 at most. The runs that were queued as it succeeded: of each job that is chained after its own the first so
-- many are looked at that were queued since. Who asked names the upstream runs.
SELECT d.id FROM sereno.run u JOIN sereno.job j ON u.job = ANY (j.after), LATERAL (
       SELECT r.id, r.cause, r.requested_by FROM sereno.run r
        WHERE (r.job, r.id) > (j.name, u.id) AND (r.job, r.id) < (j.name, 9223372036854775807)
        ORDER BY r.job, r.id LIMIT $2) AS d
 WHERE u.id = $1 AND d.cause = 'chain'
   AND u.id::text = ANY (regexp_split_to_array(substr(d.requested_by, strpos(d.requested_by, ' ') + 1), ', '))
 ORDER BY d.id;

-- name: view_slots
-- $1 job, $2 first instant, $3 last instant, $4 at most. Verdicts of its slots, and ranges that touch the time between.
-- One look for each of its schedules that has been settled since, however many slots are kept. (A version that knew no
-- `waiting` wrote `ran` before its run had begun.)
SELECT s.name AS schedule, k.first_slot, k.last_slot, k.slots, k.reason, k.run_id, k.term, k.decided_at,
       CASE WHEN k.verdict = 'ran' AND r.state = 'queued' AND r.attempt = 0 THEN 'waiting' ELSE k.verdict END AS verdict,
       coalesce(n.label, left(t.node::text, 8)) AS node
  FROM (SELECT w.schedule_id AS id, f.*
          FROM sereno.watermark w, LATERAL (
               (SELECT o.slot AS first_slot, o.slot AS last_slot, 1::bigint AS slots, o.verdict, o.reason, o.run_id, o.term,
                       o.decided_at
                  FROM sereno.slot o WHERE o.schedule_id = w.schedule_id AND o.slot BETWEEN $2 AND $3
                 ORDER BY o.slot LIMIT $4)
               UNION ALL
               (SELECT g.first_slot, g.last_slot, g.slots, g.verdict, g.reason, NULL, g.term, g.decided_at
                  FROM sereno.slot_range g
                 WHERE g.schedule_id = w.schedule_id AND g.first_slot <= $3 AND g.last_slot >= $2
                 ORDER BY g.first_slot LIMIT $4)) AS f
         WHERE w.job = $1 AND w.settled_to >= $2) AS k
  JOIN sereno.schedule s ON s.id = k.id
  LEFT JOIN sereno.run r ON r.id = k.run_id
  LEFT JOIN sereno.term t ON t.term = k.term LEFT JOIN sereno.node n ON n.id = t.node
 ORDER BY 2, 1 LIMIT $4;

-- name: history_kept_from
-- Null while nothing has been pruned.
SELECT slots_kept_from FROM sereno.history;

-- name: view_history
-- $1 job, $2 instant. Of each of its schedules the version that slots at that instant follow.
SELECT s.name, w.settled_to, v.version AS v_version, v.valid_from, v.state, v.trigger, v.starts_at, v.ends_at,
       v.jitter, v.params, v.policies, v.changed_by, v.changed_at, v.reason
  FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id
  JOIN LATERAL (SELECT * FROM sereno.schedule_version v WHERE v.schedule_id = s.id AND v.valid_from < $2
                 ORDER BY v.version DESC LIMIT 1) v ON true
 WHERE s.job = $1 ORDER BY s.name;

-- name: view_changes
-- $1 subject, $2 since, $3 by (each null: any), $4 at most, $5 to older ones, else to newer ones, $6 from this number on. A
-- job's name stands for its schedules too, and the part before an @ for who asks from any host.
SELECT c.id, c.at, c.by, c.subject, c.action, c.reason, c.before, c.after
  FROM ((SELECT * FROM sereno.change o
          WHERE $5 AND o.id < $6 AND ($1::text IS NULL OR o.subject = $1 OR split_part(o.subject, '@', 1) = $1)
            AND ($2::timestamptz IS NULL OR o.at >= $2)
            AND ($3::text IS NULL OR o.by = $3 OR split_part(o.by, '@', 1) = $3) ORDER BY o.id DESC LIMIT $4)
        UNION ALL
        (SELECT * FROM sereno.change n
          WHERE NOT $5 AND n.id > $6 AND ($1 IS NULL OR n.subject = $1 OR split_part(n.subject, '@', 1) = $1)
            AND ($2 IS NULL OR n.at >= $2)
            AND ($3 IS NULL OR n.by = $3 OR split_part(n.by, '@', 1) = $3) ORDER BY n.id LIMIT $4)) AS c
 ORDER BY c.id DESC;

-- name: view_drift
-- $1 at most. Which schedules a leader has found to have moved, the newest first.
SELECT at, subject AS schedule, reason AS because, before, after FROM sereno.change
 WHERE action = 'drift' ORDER BY id DESC LIMIT $1;

-- name: view_subjects
-- $1 a name. Whether it is one of which changes are kept, or could be.
SELECT EXISTS (SELECT 1 FROM sereno.change WHERE subject = $1 OR split_part(subject, '@', 1) = $1)
    OR EXISTS (SELECT 1 FROM sereno.schedule WHERE name = $1) OR EXISTS (SELECT 1 FROM sereno.job WHERE name = $1);

-- name: view_terms
-- $1 at most, $2 older than this term, null: from the newest on.
SELECT t.term, t.node, n.label, t.acquired_at, t.ended_at, t.reason FROM sereno.term t LEFT JOIN sereno.node n ON n.id = t.node
 WHERE $2::bigint IS NULL OR t.term < $2 ORDER BY t.term DESC LIMIT $1;

-- name: view_plugins
SELECT plugin AS name, coalesce(array_agg(name ORDER BY name) FILTER (WHERE present), '{}') AS jobs,
       coalesce(array_agg(name ORDER BY name) FILTER (WHERE NOT present), '{}') AS gone
  FROM sereno.job GROUP BY plugin ORDER BY plugin;

-- name: totals
-- $1 how far runs that wait or work are counted.
SELECT clock_timestamp() AS now, s.*, least(q.n, $1) AS queued, least(x.n, $1) AS running, q.n > $1 OR x.n > $1 AS more
  FROM (SELECT coalesce(sum(succeeded), 0)::bigint AS succeeded, coalesce(sum(failed), 0)::bigint AS failed,
               coalesce(sum(timed_out), 0)::bigint AS timed_out, coalesce(sum(cancelled), 0)::bigint AS cancelled,
               coalesce(sum(lost), 0)::bigint AS lost, coalesce(sum(retried), 0)::bigint AS retried,
               coalesce(sum(late), 0)::bigint AS late, coalesce(sum(coalesced), 0)::bigint AS coalesced,
               coalesce(sum(skipped), 0)::bigint AS skipped, coalesce(sum(missed), 0)::bigint AS missed
          FROM sereno.job_stat) AS s,
       (SELECT count(*) AS n FROM (SELECT 1 FROM sereno.run WHERE state = 'queued' LIMIT $1::bigint + 1) AS q) AS q,
       (SELECT count(*) AS n FROM (SELECT 1 FROM sereno.run WHERE state = 'running' LIMIT $1::bigint + 1) AS x) AS x;

-- name: schedules_selected
-- $1 plugin, null: any. Name and job of each schedule that fires, or is paused.
SELECT s.name, s.job FROM sereno.schedule s LEFT JOIN sereno.job j ON j.name = s.job
 WHERE s.state IN ('active', 'paused') AND ($1::text IS NULL OR j.plugin = $1) ORDER BY s.name;
