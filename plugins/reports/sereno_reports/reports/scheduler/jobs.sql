-- Each job's runs that ended in [:start, :end), against its last four weeks: parts `total` and `job`. Runs that
-- sereno.prune has deleted are in sereno.run_tally; of those, no percentile is known.
WITH run AS (
  SELECT job, state, finished_at, finished_at >= :start AS is_now,
    CASE WHEN isfinite(started_at) THEN extract(epoch FROM finished_at - started_at)::float8 END AS took,
    CASE WHEN cause = 'slot' AND attempt <= 1 AND isfinite(started_at) AND isfinite(slot)
         THEN greatest(extract(epoch FROM started_at - slot)::float8, 0) END AS late
  FROM sereno.run
  WHERE finished_at >= :start - interval '28 days' AND finished_at < :end
),
tally AS (
  SELECT job, state, is_now, count(*) AS runs, count(took) AS timed, sum(took) AS took_s, max(took) AS took_max_s,
    count(late) AS slots, sum(late) AS late_s, max(late) AS late_max_s, min(finished_at) AS since, true AS is_kept
  FROM run GROUP BY 1, 2, 3
  UNION ALL
  SELECT job, state, quarter >= :start, sum(runs), sum(timed), sum(took_s), max(took_max_s),
    sum(slots), sum(late_s), max(late_max_s), min(quarter), false
  FROM sereno.run_tally
  WHERE quarter >= :start - interval '28 days' AND quarter < :end GROUP BY 1, 2, 3
),
percentile AS (
  SELECT job, percentile_disc(0.95) WITHIN GROUP (ORDER BY took) AS took_p95
  FROM run WHERE is_now AND state = 'succeeded' GROUP BY job
),
missed AS (
  SELECT s.job, sum(told.missed) AS missed
  FROM sereno.schedule AS s, LATERAL (
    SELECT count(*) AS missed FROM sereno.slot AS t
    WHERE t.schedule_id = s.id AND t.slot >= :start AND t.slot < :end AND t.verdict = 'missed'
    UNION ALL
    SELECT slots FROM sereno.slot_range AS r
    WHERE r.schedule_id = s.id AND r.last_slot >= :start AND r.last_slot < :end AND r.verdict = 'missed'
  ) AS told
  WHERE told.missed > 0
  GROUP BY 1
),
counted AS (
  SELECT job,
    sum(runs) FILTER (WHERE is_now) AS runs,
    sum(runs) FILTER (WHERE is_now AND state = 'succeeded') AS succeeded,
    sum(runs) FILTER (WHERE is_now AND state IN ('failed', 'timed_out', 'lost')) AS failed,
    sum(runs) FILTER (WHERE is_now AND state = 'cancelled') AS cancelled,
    sum(runs) FILTER (WHERE is_now AND state IN ('succeeded', 'failed', 'timed_out', 'lost')) AS judged,
    -- As many as in a period as long; a job without a run in the first of the four weeks is younger, and is held
    -- against the days that it has.
    sum(runs) FILTER (WHERE NOT is_now) * extract(epoch FROM :end - :start) / 86400
      / CASE WHEN min(since) < :start - interval '21 days' THEN 28
             ELSE ceil(extract(epoch FROM :start - min(since) FILTER (WHERE NOT is_now)) / 86400) END AS runs_before,
    sum(runs) FILTER (WHERE NOT is_now AND state IN ('failed', 'timed_out', 'lost')) AS failed_before,
    sum(runs) FILTER (WHERE NOT is_now AND state IN ('succeeded', 'failed', 'timed_out', 'lost')) AS judged_before,
    sum(late_s) FILTER (WHERE is_now) / nullif(sum(slots) FILTER (WHERE is_now), 0) AS late,
    max(late_max_s) FILTER (WHERE is_now) AS latest,
    sum(took_s) FILTER (WHERE is_now) AS took_s,
    sum(took_s) FILTER (WHERE is_now AND state = 'succeeded')
      / nullif(sum(timed) FILTER (WHERE is_now AND state = 'succeeded'), 0) AS took,
    max(took_max_s) FILTER (WHERE is_now) AS slowest,
    sum(took_s) FILTER (WHERE NOT is_now AND state = 'succeeded')
      / nullif(sum(timed) FILTER (WHERE NOT is_now AND state = 'succeeded'), 0) AS took_before,
    bool_and(is_kept) FILTER (WHERE is_now AND state = 'succeeded') AS is_kept
  FROM tally GROUP BY job
),
every_job AS (
  SELECT coalesce(counted.job, missed.job) AS name, counted.*, coalesce(missed.missed, 0) AS missed,
    CASE WHEN is_kept THEN took_p95 END AS took_p95
  FROM counted LEFT JOIN percentile USING (job) FULL JOIN missed ON missed.job = counted.job
  WHERE coalesce(runs, 0) > 0 OR coalesce(missed.missed, 0) > 0 OR coalesce(runs_before, 0) > 0
)
SELECT 'job' AS part, name AS job, coalesce(runs, 0) AS runs, coalesce(succeeded, 0) AS succeeded,
  coalesce(failed, 0) AS failed, coalesce(cancelled, 0) AS cancelled, coalesce(judged, 0) AS judged,
  missed, runs_before, coalesce(failed_before, 0) AS failed_before, coalesce(judged_before, 0) AS judged_before,
  late, latest, took_s, took, took_p95, slowest, took_before,
  took / nullif(took_before, 0) - 1 AS growth, NULL::bigint AS jobs
FROM every_job
UNION ALL
SELECT 'total', NULL, coalesce(sum(runs), 0), coalesce(sum(succeeded), 0), coalesce(sum(failed), 0),
  coalesce(sum(cancelled), 0), coalesce(sum(judged), 0), coalesce(sum(missed), 0), sum(runs_before),
  coalesce(sum(failed_before), 0), coalesce(sum(judged_before), 0), NULL, max(latest), sum(took_s), NULL, NULL,
  max(slowest), NULL, NULL, count(*) FILTER (WHERE runs > 0)
FROM every_job
ORDER BY part DESC, failed DESC, missed DESC, runs DESC, job
