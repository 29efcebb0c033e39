-- Jobs whose runs take longer than in the four weeks before [:start, :end), by how much they have grown: from three runs
-- before and a second more on, below which it is chance. Runs that sereno.prune has deleted are in sereno.run_tally.
WITH tally AS (
  SELECT job, finished_at >= :start AS is_now, count(*) AS timed,
    sum(extract(epoch FROM finished_at - started_at)::float8) AS took_s
  FROM sereno.run
  WHERE finished_at >= :start - interval '28 days' AND finished_at < :end AND state = 'succeeded' AND isfinite(started_at)
  GROUP BY 1, 2
  UNION ALL
  SELECT job, quarter >= :start, sum(timed), sum(took_s)
  FROM sereno.run_tally
  WHERE quarter >= :start - interval '28 days' AND quarter < :end AND state = 'succeeded'
  GROUP BY 1, 2
),
mean AS (
  SELECT job, sum(timed) FILTER (WHERE NOT is_now) AS timed_before,
    sum(took_s) FILTER (WHERE is_now) / nullif(sum(timed) FILTER (WHERE is_now), 0) AS took,
    sum(took_s) FILTER (WHERE NOT is_now) / nullif(sum(timed) FILTER (WHERE NOT is_now), 0) AS took_before
  FROM tally GROUP BY job
)
SELECT job, took_before, took, took / took_before - 1 AS growth
FROM mean WHERE timed_before >= 3 AND took_before > 0 AND took >= took_before + 1
ORDER BY growth DESC, job
LIMIT 10
