-- What people are shown: read by the command line and the console, written by nobody.

-- name: view_jobs
-- $1 names, null: all. Every job that is declared now or has left runs behind, with its counts and what waits and runs.
SELECT j.name, j.plugin, j.title, j.owner, j.runbook, j.tags, j.description, j.present, j.severity, j.after, j.policies,
       j.params AS takes, t.last_success_at, t.last_end_at, t.last_state, t.last_run, t.last_duration,
       (t.last_run > t.pruned_run OR EXISTS (SELECT 1 FROM sereno.run l WHERE l.id = t.last_run)) IS NOT FALSE AS last_run_kept,
       coalesce(t.succeeded, 0) AS succeeded, coalesce(t.failed, 0) AS failed, coalesce(t.missed, 0) AS missed,
       coalesce(q.n, 0) AS queued, coalesce(x.n, 0) AS running, clock_timestamp() AS now
  FROM sereno.job j
  LEFT JOIN sereno.job_stat t ON t.job = j.name
  LEFT JOIN (SELECT job, count(*) AS n FROM sereno.run WHERE state = 'queued' AND place_id IS DISTINCT FROM '*' GROUP BY job) q ON q.job = j.name
  LEFT JOIN (SELECT job, count(*) AS n FROM sereno.run WHERE state = 'running' AND place_id IS DISTINCT FROM '*' GROUP BY job) x ON x.job = j.name
 WHERE $1::text[] IS NULL OR j.name = ANY ($1)
 ORDER BY j.name;

-- name: jobs_walk
-- $1 to those behind $2, else to those before it, $2 a name, $3 how many; $4 words in small letters, each of which is in one's
-- name, title, plugin, owner, description or tags. Their names, by the index.
(SELECT a.name FROM sereno.job a
  WHERE $1 AND a.name > $2 AND NOT EXISTS (
        SELECT 1 FROM unnest($4::text[]) AS w (word)
         WHERE strpos(lower(concat_ws(E'\n', a.name, a.title, a.plugin, a.owner, a.description, array_to_string(a.tags, E'\n'))),
                      w.word) = 0)
  ORDER BY a.name LIMIT $3)
UNION ALL
(SELECT b.name FROM sereno.job b
  WHERE NOT $1 AND b.name < $2 AND NOT EXISTS (
        SELECT 1 FROM unnest($4) AS w (word)
         WHERE strpos(lower(concat_ws(E'\n', b.name, b.title, b.plugin, b.owner, b.description, array_to_string(b.tags, E'\n'))),
                      w.word) = 0)
  ORDER BY b.name DESC LIMIT $3);

-- name: view_job_names
SELECT name FROM sereno.job;

-- name: view_schedules
-- Each schedule that is not removed, as it stands.
SELECT s.id, s.name, s.job, s.origin, s.state, s.paused_until, s.paused_by, s.paused_reason,
       s.overrides <> '{}' AS overridden, w.next_slot, w.settled_to, v.version AS v_version, v.valid_from, v.trigger,
       v.starts_at, v.ends_at, v.jitter, v.params, v.policies, clock_timestamp() AS now,
       coalesce(s.overrides -> 'title', s.declared -> 'title') #>> '{}' AS title,
       coalesce(s.overrides -> 'trigger', s.declared -> 'trigger') #>> '{}' AS written,
       coalesce(s.overrides -> 'tags', s.declared -> 'tags') AS tags
  FROM sereno.schedule s
  JOIN sereno.watermark w ON w.schedule_id = s.id
  JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
 WHERE s.state <> 'removed'
 ORDER BY s.job, s.name;

-- name: schedules_named
-- $1 a job or a schedule. The number of that schedule, or of those of that job. From one to the same: of an equality the planner
-- expects as many as a job has on average, and where jobs are few reads all.
SELECT id FROM sereno.schedule WHERE name = $1 OR job BETWEEN $1 AND $1;

-- name: view_schedules_next
-- $1 how many. The active schedules that are due first, from the index by which they wake.
SELECT s.id, s.name, s.job, s.origin, s.state, s.paused_until, s.paused_by, s.paused_reason,
       s.overrides <> '{}' AS overridden, w.next_slot, w.settled_to, v.version AS v_version, v.valid_from, v.trigger,
       v.starts_at, v.ends_at, v.jitter, v.params, v.policies, clock_timestamp() AS now,
       coalesce(s.overrides -> 'title', s.declared -> 'title') #>> '{}' AS title,
       coalesce(s.overrides -> 'tags', s.declared -> 'tags') AS tags
  FROM (SELECT schedule_id, next_slot, settled_to, wake_at FROM sereno.watermark ORDER BY wake_at, schedule_id LIMIT $1) AS w
  JOIN sereno.schedule s ON s.id = w.schedule_id
  JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
 WHERE s.state = 'active' AND w.next_slot IS NOT NULL
 ORDER BY w.wake_at, s.id;

-- name: view_schedules_walk
-- $1 to those behind $2, else to those before it, $2 a name, $3 how many are looked at, $4 how many are wanted; of these (each null:
-- any) $5 job, $6 state, $7 tag, $8 a text in small letters in name, title or trigger. Walks the index by name, and says how
-- far it came.
WITH looked AS MATERIALIZED (
    SELECT u.id, u.name,
           ($7::text IS NULL OR coalesce(u.overrides -> 'tags', u.declared -> 'tags') ? $7)
           AND ($8::text IS NULL OR strpos(lower(concat_ws(E'\n', u.name,
                coalesce(u.overrides -> 'title', u.declared -> 'title') #>> '{}',
                coalesce(u.overrides -> 'trigger', u.declared -> 'trigger') #>> '{}')), $8) > 0) AS fits
      FROM ((SELECT a.id, a.name, a.declared, a.overrides FROM sereno.schedule a
              WHERE $1 AND a.name > $2 AND a.state <> 'removed' AND ($5::text IS NULL OR a.job = $5)
                AND ($6::text IS NULL OR a.state = $6)
              ORDER BY a.name LIMIT $3)
            UNION ALL
            (SELECT b.id, b.name, b.declared, b.overrides FROM sereno.schedule b
              WHERE NOT $1 AND b.name < $2 AND b.state <> 'removed' AND ($5 IS NULL OR b.job = $5)
                AND ($6 IS NULL OR b.state = $6)
              ORDER BY b.name DESC LIMIT $3)) AS u)
SELECT (SELECT count(*) FROM looked) AS walked,
       CASE WHEN $1 THEN (SELECT max(l.name) FROM looked l) ELSE (SELECT min(l.name) FROM looked l) END AS last,
       ARRAY(SELECT l.id FROM looked l WHERE l.fits
              ORDER BY CASE WHEN $1 THEN l.name END, CASE WHEN NOT $1 THEN l.name END DESC LIMIT $4) AS found;

-- name: view_schedules_of
-- $1 numbers of schedules. Each as it stands, by name, with what was declared and what people changed.
SELECT s.id, s.name, s.job, s.origin, s.state, s.paused_until, s.paused_by, s.paused_reason,
       s.overrides <> '{}' AS overridden, w.next_slot, w.settled_to, v.version AS v_version, v.valid_from, v.trigger,
       v.starts_at, v.ends_at, v.jitter, v.params, v.policies, s.declared, s.overrides, j.secrets, clock_timestamp() AS now,
       coalesce(s.overrides -> 'title', s.declared -> 'title') #>> '{}' AS title,
       coalesce(s.overrides -> 'trigger', s.declared -> 'trigger') #>> '{}' AS written,
       coalesce(s.overrides -> 'tags', s.declared -> 'tags') AS tags
  FROM sereno.schedule s
  JOIN sereno.watermark w ON w.schedule_id = s.id
  JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
  LEFT JOIN sereno.job j ON j.name = s.job
 WHERE s.id = ANY ($1::bigint[]) AND s.state <> 'removed' ORDER BY s.name;

-- name: view_load
-- What the active schedules are due by: those alike, as one, with how many they are. Of one with jitter its name matters.
SELECT v.trigger, v.jitter, v.starts_at, v.ends_at, s.job, CASE WHEN v.jitter IS NULL THEN '' ELSE s.name END AS name,
       count(*) AS schedules
  FROM sereno.watermark w
  JOIN sereno.schedule s ON s.id = w.schedule_id
  JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
 WHERE s.state = 'active' AND w.next_slot IS NOT NULL
 GROUP BY 1, 2, 3, 4, 5, 6;

-- name: view_run
-- $1 run
SELECT r.id, r.job, r.state, r.cause, s.name AS schedule, coalesce(s.state = 'removed', false) AS schedule_removed, r.slot, r.priority, r.run_at, r.queued_at, r.started_at,
       r.finished_at, r.attempt, coalesce(n.label, left(nullif(r.node, '00000000-0000-0000-0000-000000000000')::text, 8)) AS node,
       r.place_name AS place, r.part_of, r.term, r.requested_by, r.error,
       r.repeats, r.repeats IS NULL OR EXISTS (SELECT 1 FROM sereno.run o WHERE o.id = r.repeats) AS repeats_kept, r.backfill, coalesce(r.alone, false) AS alone, r.start_by, p.done, p.total, p.note, r.params, r.result,
       r.traceback, r.upstream, r.unique_key, r.concurrency_key,
       r.losses, r.trace_context, r.place_id = '*' AS whole, r.only_at, p.checkpoint, c.requested_by AS cancelled_by, c.requested_at AS cancelled_at,
       c.reason AS cancel_reason, k.reason AS verdict_reason, clock_timestamp() AS now,
       CASE WHEN k.run_id = r.id AND k.verdict = 'ran' AND r.state = 'queued' AND r.attempt = 0 THEN 'waiting'
            ELSE k.verdict END AS verdict,
       j.secrets, j.title, j.owner, j.runbook, r.tags, j.tags AS job_tags,
       coalesce(s.overrides -> 'tags', s.declared -> 'tags') AS schedule_tags,
       (SELECT k.held_until FROM sereno.unique_key k WHERE k.run_id = r.id) AS held_until,
       CASE WHEN r.state = 'running' THEN (SELECT t.since FROM sereno.stall t WHERE t.token = r.token) END AS stalled_since,
       CASE WHEN r.state = 'queued' AND r.concurrency_key IS NOT NULL
            THEN ARRAY(SELECT x.id FROM sereno.run x WHERE x.state = 'running' AND x.concurrency_key = r.concurrency_key
                        ORDER BY x.id LIMIT 100) END AS key_taken_by,
       CASE WHEN r.state = 'queued' AND r.concurrency_key IS NOT NULL
            THEN CASE WHEN coalesce(r.policies ->> 'concurrency_key', j.policies ->> 'concurrency_key') IS NULL THEN 1
                      WHEN r.policies ->> 'concurrency_key' IS NOT NULL
                      THEN coalesce(sereno.whole(r.policies ->> 'concurrency_limit'), 1)
                      ELSE coalesce(sereno.whole(r.policies ->> 'concurrency_limit'),
                                    sereno.whole(j.policies ->> 'concurrency_limit'), 1) END END AS key_limit,
       (SELECT least(coalesce(sum(w.times), 0), 1::bigint << 62)::bigint FROM sereno.run_warning w WHERE w.run_id = r.id) AS warnings
  FROM sereno.run r
  LEFT JOIN sereno.job j ON j.name = r.job
  LEFT JOIN sereno.schedule s ON s.id = r.schedule_id
  LEFT JOIN sereno.node n ON n.id = r.node
  LEFT JOIN sereno.run_progress p ON p.run_id = r.id
  LEFT JOIN sereno.cancel_request c ON c.run_id = r.id
  LEFT JOIN sereno.slot k ON k.schedule_id = r.schedule_id AND k.slot = r.slot
 WHERE r.id = $1;

-- name: view_parts
-- $1 run. Its parts, by their place.
SELECT p.id AS run, p.place_name AS place, p.state, p.attempt AS attempts, n.label AS node, p.started_at, p.finished_at, p.error
  FROM sereno.run p LEFT JOIN sereno.node n ON n.id = p.node WHERE p.part_of = $1 ORDER BY p.place_name, p.id LIMIT 1000;

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
       r.finished_at, r.attempt, coalesce(n.label, left(nullif(r.node, '00000000-0000-0000-0000-000000000000')::text, 8)) AS node,
       r.place_name AS place, r.part_of, r.term, r.requested_by, r.error,
       p.done, p.total, p.note, r.tags,
       CASE WHEN r.state = 'running' THEN (SELECT t.since FROM sereno.stall t WHERE t.token = r.token) END AS stalled_since,
       (SELECT least(coalesce(sum(w.times), 0), 1::bigint << 62)::bigint FROM sereno.run_warning w WHERE w.run_id = r.id) AS warnings
  FROM sereno.run r
  LEFT JOIN sereno.schedule s ON s.id = r.schedule_id
  LEFT JOIN sereno.node n ON n.id = r.node
  LEFT JOIN sereno.run_progress p ON p.run_id = r.id
 WHERE r.id = ANY ($1::bigint[]) ORDER BY r.id DESC;

-- name: run_pruned
-- $1 a number that no run has. Whether one that had it may have been pruned, as others of its time were.
SELECT EXISTS (SELECT 1 FROM sereno.job_stat WHERE pruned_run >= $1);

-- name: view_slots
-- $1 job, $2 first instant, $3 last instant, $4 at most. Verdicts of its slots, and ranges that touch the time between.
-- One look for each of its schedules that has been settled since, however many slots are kept. A slot that was filled has a
-- row `backfilled` besides. (A version that knew no
-- `waiting` wrote `ran` before its run had begun.)
SELECT s.name AS schedule, k.first_slot, k.last_slot, k.slots, k.reason, k.run_id, k.run_id IS NULL OR r.id IS NOT NULL AS run_kept, coalesce(k.term, 0) AS term, k.decided_at,
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
                 ORDER BY g.first_slot LIMIT $4)
               UNION ALL
               (SELECT b.slot, b.slot, 1, 'backfilled',
                       CASE WHEN b.backfill_id IS NULL THEN 'as its schedule was resumed' ELSE 'by back-fill ' || b.backfill_id
                       END || CASE WHEN b.times > 1 THEN ', filled ' || b.times || ' times' ELSE '' END,
                       b.run_id, NULL, b.at
                  FROM sereno.backfilled b WHERE b.schedule_id = w.schedule_id AND b.slot BETWEEN $2 AND $3
                 ORDER BY b.slot LIMIT $4)) AS f
         WHERE w.job = $1 AND w.settled_to >= $2) AS k
  JOIN sereno.schedule s ON s.id = k.id
  LEFT JOIN sereno.run r ON r.id = k.run_id
  LEFT JOIN sereno.term t ON t.term = k.term LEFT JOIN sereno.node n ON n.id = t.node
 ORDER BY 2, 1, k.verdict = 'backfilled' LIMIT $4;

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

-- name: changes_walk
-- $1 to older ones, else to newer ones, $2 and $3 between these numbers, $4 the way: 'any', or by 'subject', 'job', 'asker', $5
-- how many are looked at, $6 how many are wanted; of these (each null: any) $7 subject, with those of a job its schedules, $8
-- who, with or without the host, $9 since when. What each way gives is in the order of an index, of which pairs are compared
-- so that the planner takes it.
WITH looked AS MATERIALIZED (
    (SELECT a.id FROM sereno.change a WHERE $1 AND $4 = 'any' AND a.id > $2 AND a.id < $3 ORDER BY a.id DESC LIMIT $5)
    UNION ALL
    (SELECT a.id FROM sereno.change a WHERE NOT $1 AND $4 = 'any' AND a.id > $2 AND a.id < $3 ORDER BY a.id LIMIT $5)
    UNION ALL
    (SELECT s.id FROM sereno.change s
      WHERE $1 AND $4 = 'subject' AND (s.subject, s.id) > ($7, $2) AND (s.subject, s.id) < ($7, $3)
      ORDER BY s.subject DESC, s.id DESC LIMIT $5)
    UNION ALL
    (SELECT s.id FROM sereno.change s
      WHERE NOT $1 AND $4 = 'subject' AND (s.subject, s.id) > ($7, $2) AND (s.subject, s.id) < ($7, $3)
      ORDER BY s.subject, s.id LIMIT $5)
    UNION ALL
    (SELECT j.id FROM sereno.change j
      WHERE $1 AND $4 = 'job' AND (split_part(j.subject, '@', 1), j.id) > ($7, $2)
        AND (split_part(j.subject, '@', 1), j.id) < ($7, $3)
      ORDER BY split_part(j.subject, '@', 1) DESC, j.id DESC LIMIT $5)
    UNION ALL
    (SELECT j.id FROM sereno.change j
      WHERE NOT $1 AND $4 = 'job' AND (split_part(j.subject, '@', 1), j.id) > ($7, $2)
        AND (split_part(j.subject, '@', 1), j.id) < ($7, $3)
      ORDER BY split_part(j.subject, '@', 1), j.id LIMIT $5)
    UNION ALL
    (SELECT b.id FROM sereno.change b
      WHERE $1 AND $4 = 'asker' AND (split_part(b.by, '@', 1), b.id) > (split_part($8, '@', 1), $2)
        AND (split_part(b.by, '@', 1), b.id) < (split_part($8, '@', 1), $3)
      ORDER BY split_part(b.by, '@', 1) DESC, b.id DESC LIMIT $5)
    UNION ALL
    (SELECT b.id FROM sereno.change b
      WHERE NOT $1 AND $4 = 'asker' AND (split_part(b.by, '@', 1), b.id) > (split_part($8, '@', 1), $2)
        AND (split_part(b.by, '@', 1), b.id) < (split_part($8, '@', 1), $3)
      ORDER BY split_part(b.by, '@', 1), b.id LIMIT $5)
)
SELECT (SELECT count(*) FROM looked) AS walked,
       CASE WHEN $1 THEN (SELECT min(l.id) FROM looked l) ELSE (SELECT max(l.id) FROM looked l) END AS last,
       ARRAY(SELECT c.id
               FROM (SELECT l.id FROM looked l ORDER BY CASE WHEN $1 THEN -l.id ELSE l.id END) AS l,
                    LATERAL (SELECT * FROM sereno.change c WHERE c.id = l.id OFFSET 0) AS c
              WHERE ($7::text IS NULL OR c.subject = $7 OR split_part(c.subject, '@', 1) = $7)
                AND ($8::text IS NULL OR c.by = $8 OR split_part(c.by, '@', 1) = $8)
                AND ($9::timestamptz IS NULL OR c.at >= $9)
              LIMIT $6) AS found;

-- name: view_changes_of
-- $1 numbers of changes. Each, the newest first.
SELECT id, at, by, subject, action, reason, before, after FROM sereno.change WHERE id = ANY ($1::bigint[]) ORDER BY id DESC;

-- name: change_number_before
-- $1 instant. A number behind which all changes since then are: clocks are set back by less than an hour.
SELECT coalesce((SELECT c.id FROM sereno.change c WHERE c.at < $1::timestamptz - interval '1 hour'
                  ORDER BY c.at DESC LIMIT 1), 0);

-- name: view_drift
-- $1 at most. Which schedules a leader has found to have moved, the newest first.
SELECT at, subject AS schedule, reason AS because, before, after FROM sereno.change
 WHERE action = 'drift' ORDER BY id DESC LIMIT $1;

-- name: view_subjects
-- $1 a name. Whether it is one of which changes are kept, or could be. What comes at or behind it in an index is compared with
-- it: of an equality the planner expects many, reads the table for the first, and finds in all of it that there is none.
SELECT coalesce((SELECT subject FROM sereno.change WHERE subject >= $1 ORDER BY subject LIMIT 1) = $1, false)
    OR coalesce((SELECT split_part(subject, '@', 1) FROM sereno.change WHERE split_part(subject, '@', 1) >= $1
                  ORDER BY split_part(subject, '@', 1) LIMIT 1) = $1, false)
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

-- name: view_placement_waits
-- $1 class, $2 run, null: the first 10,000 that wait. Those that ask for labels, or for a plugin's executor, by job, and of the nodes that are there how
-- many have the labels, how many of these the executor, and how many of these the job as the leader declares it.
WITH first AS (
    (SELECT id, job, policies, run_at FROM sereno.run WHERE state = 'queued' AND node IS NULL AND $2::bigint IS NULL
      ORDER BY priority DESC, run_at, id LIMIT 10000)
    UNION ALL
    SELECT id, job, policies, run_at FROM sereno.run WHERE id = $2::bigint AND state = 'queued' AND node IS NULL
), waits AS (
    SELECT job, wanted, executor, count(*) AS runs
      FROM (SELECT f.job, coalesce(f.policies -> 'runs_on', j.policies -> 'runs_on') AS wanted,
                   coalesce(f.policies ->> 'executor', j.policies ->> 'executor', 'async') AS executor
              FROM first f JOIN sereno.job j ON j.name = f.job WHERE f.run_at <= clock_timestamp()) AS x
     WHERE jsonb_typeof(wanted) = 'array' OR executor NOT IN ('async', 'thread', 'process', 'host') GROUP BY job, wanted, executor ORDER BY job LIMIT 20
)
SELECT w.job, l.labels, w.executor, w.runs, n.labelled, n.able, n.same
  FROM waits w
  CROSS JOIN LATERAL (SELECT coalesce(array_agg(e ORDER BY e), '{}') AS labels FROM jsonb_array_elements_text(
      CASE jsonb_typeof(w.wanted) WHEN 'array' THEN w.wanted ELSE '[]' END) AS e) AS l
  CROSS JOIN LATERAL (
      SELECT count(*) AS labelled, count(*) FILTER (WHERE o.places ? w.executor) AS able,
             count(*) FILTER (WHERE o.places ? w.executor AND o.declared ->> w.job = (
                 SELECT d.declared ->> w.job FROM sereno.leadership s JOIN sereno.node d ON d.id = s.node)) AS same
        FROM sereno.node o
       WHERE o.places IS NOT NULL AND o.left_at IS NULL AND l.labels <@ o.labels
         AND EXISTS (SELECT 1 FROM pg_locks k WHERE k.locktype = 'advisory' AND k.classid = $1::int::oid
                        AND k.objid = o.key::oid AND k.objsubid = 2 AND k.granted
                        AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database()))) AS n;

-- name: view_node_totals
-- $1 how many runs, the newest, are looked at. What each node has ended of them, by job, and how many seconds one took.
SELECT r.node, r.job, count(*) FILTER (WHERE r.state = 'succeeded') AS succeeded,
       count(*) FILTER (WHERE r.state IN ('failed', 'timed_out', 'lost')) AS failed,
       count(*) FILTER (WHERE r.state = 'cancelled') AS cancelled,
       coalesce(avg(extract(epoch FROM r.finished_at - r.started_at)), 0)::float8 AS mean_seconds
  FROM (SELECT node, job, state, place_id, started_at, finished_at FROM sereno.run ORDER BY id DESC LIMIT $1) AS r
 WHERE r.node IS NOT NULL AND r.finished_at IS NOT NULL AND r.place_id IS DISTINCT FROM '*'   -- its parts are counted
 GROUP BY r.node, r.job ORDER BY r.job, r.node;
