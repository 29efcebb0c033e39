-- Jobs whose runs take longer than in the four weeks before [:start, :end), by how much they have grown.
WITH mean AS (
  SELECT job, avg(extract(epoch FROM finished_at - started_at)) FILTER (WHERE finished_at >= :start) AS took,
    avg(extract(epoch FROM finished_at - started_at)) FILTER (WHERE finished_at < :start) AS took_before
  FROM sereno.run
  WHERE finished_at >= :start - interval '28 days' AND finished_at < :end AND state = 'succeeded'
  GROUP BY job
)
SELECT job, took_before, took, took / took_before - 1 AS growth
FROM mean WHERE took_before > 0 AND took > took_before
ORDER BY growth DESC, job
LIMIT 10
