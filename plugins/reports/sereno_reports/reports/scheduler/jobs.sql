-- Each job's runs that ended in [:start, :end), against its last four weeks: parts `total` and `job`.
WITH run AS (
  SELECT job, state, finished_at, slot, started_at, cause,
    extract(epoch FROM finished_at - started_at) AS took,
    CASE WHEN cause = 'slot' AND attempt <= 1 THEN greatest(extract(epoch FROM started_at - slot), 0) END AS late,
    finished_at >= :start AS is_now
  FROM sereno.run
  WHERE finished_at >= :start - interval '28 days' AND finished_at < :end
),
missed AS (
  SELECT s.job, sum(n) AS missed
  FROM (
    SELECT schedule_id, count(*) AS n FROM sereno.slot
    WHERE slot >= :start AND slot < :end AND verdict = 'missed' GROUP BY 1
    UNION ALL
    SELECT schedule_id, slots FROM sereno.slot_range
    WHERE last_slot >= :start AND last_slot < :end AND verdict = 'missed'
  ) AS told JOIN sereno.schedule AS s ON s.id = told.schedule_id
  GROUP BY 1
),
counted AS (
  SELECT job,
    count(*) FILTER (WHERE is_now) AS runs,
    count(*) FILTER (WHERE is_now AND state = 'succeeded') AS succeeded,
    count(*) FILTER (WHERE is_now AND state IN ('failed', 'timed_out', 'lost')) AS failed,
    count(*) FILTER (WHERE is_now AND state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE is_now AND state IN ('succeeded', 'failed', 'timed_out', 'lost')) AS judged,
    count(*) FILTER (WHERE NOT is_now) / 28.0 * (extract(epoch FROM :end - :start) / 86400) AS runs_before,
    count(*) FILTER (WHERE NOT is_now AND state IN ('failed', 'timed_out', 'lost')) AS failed_before,
    count(*) FILTER (WHERE NOT is_now AND state IN ('succeeded', 'failed', 'timed_out', 'lost')) AS judged_before,
    avg(late) FILTER (WHERE is_now) AS late, max(late) FILTER (WHERE is_now) AS latest,
    sum(took) FILTER (WHERE is_now) AS took_s,
    avg(took) FILTER (WHERE is_now AND state = 'succeeded') AS took,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY took) FILTER (WHERE is_now AND state = 'succeeded') AS took_p95,
    max(took) FILTER (WHERE is_now) AS slowest,
    avg(took) FILTER (WHERE NOT is_now AND state = 'succeeded') AS took_before
  FROM run GROUP BY job
),
every_job AS (
  SELECT coalesce(counted.job, missed.job) AS name, counted.*, coalesce(missed.missed, 0) AS missed
  FROM counted FULL JOIN missed ON missed.job = counted.job
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
