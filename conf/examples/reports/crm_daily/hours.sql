-- Conversations by the hour in which they began.
SELECT (:labels)[n] AS hour, count(c.answered_at) AS answered,
  count(c.started_at) - count(c.answered_at) AS unanswered
FROM generate_subscripts(:starts, 1) AS n
LEFT JOIN conversations AS c ON c.tenant_id = :tenant_id AND c.started_at >= :start AND c.started_at < :end
  AND width_bucket(c.started_at, :starts) = n
GROUP BY n ORDER BY n
