-- What a rehearsal begins with. Read for one rehearsal at a time, and never by a leader.

-- name: rehearsal_schedules
-- Every schedule that the leader will look at, as `agenda` has them, with every version in force after its watermark.
SELECT s.id, s.name, s.job, s.paused_until, d.settled_to, d.next_slot, d.wake_at, d.version, d.open_first, d.open_what,
       v.version AS v_version, v.valid_from, v.state, v.trigger, v.starts_at, v.ends_at, v.jitter, v.params, v.policies
  FROM sereno.watermark d JOIN sereno.schedule s ON s.id = d.schedule_id
  JOIN sereno.schedule_version v ON v.schedule_id = s.id
   AND v.version >= (SELECT max(x.version) FROM sereno.schedule_version x
                      WHERE x.schedule_id = s.id AND x.valid_from <= d.settled_to)
 WHERE d.wake_at IS NOT NULL
 ORDER BY s.id, v.version;

-- name: rehearsal_jobs
-- $1 runs. Each job that is declared, and how long those of its newest so many runs took that succeeded: half of them at
-- most so long, and 99 of 100.
SELECT j.name, j.after, j.policies, d.runs, d.usual, d.slow
  FROM sereno.job j
  CROSS JOIN LATERAL (
      SELECT count(*) AS runs, percentile_disc(0.5) WITHIN GROUP (ORDER BY n.took) AS usual,
             percentile_disc(0.99) WITHIN GROUP (ORDER BY n.took) AS slow
        FROM (SELECT r.state, r.finished_at - r.started_at AS took FROM sereno.run r
               WHERE r.job = j.name ORDER BY r.id DESC LIMIT $1) AS n
       WHERE n.state = 'succeeded' AND n.took >= interval '0') AS d
 WHERE j.present ORDER BY j.name;

-- name: rehearsal_under_way
-- $1 at most. Runs that work now, and those of schedules that wait.
SELECT r.job, CASE WHEN r.backfill IS NULL THEN r.schedule_id END AS schedule_id, s.name AS schedule, r.concurrency_key AS key,
       r.slot, CASE WHEN r.state = 'running' THEN r.started_at END AS started_at, r.start_by, r.attempt
  FROM sereno.run r LEFT JOIN sereno.schedule s ON s.id = r.schedule_id
 WHERE r.state = 'running' OR (r.state = 'queued' AND r.schedule_id IS NOT NULL AND r.backfill IS NULL)
 ORDER BY r.run_at, r.id LIMIT $1;

-- name: rehearsal_turns
-- $1 jobs, $2 concurrency keys. The number by which the queue orders the turn of each pair, as `queue_ready_keyed` has it.
SELECT j AS job, k AS key, hashtextextended(k, hashtext(j)) AS turn FROM unnest($1::text[], $2::text[]) AS p (j, k);
