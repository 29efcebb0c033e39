-- The runs that took longest, of those that ended in [:start, :end) and are kept.
SELECT job, id AS run, state, started_at, extract(epoch FROM finished_at - started_at) AS took
FROM sereno.run
WHERE finished_at >= :start AND finished_at < :end AND isfinite(started_at)
ORDER BY took DESC, id
LIMIT 10
