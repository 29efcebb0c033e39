-- What happened in the company in [:start, :end).
SELECT c.*, l.*
FROM (
  SELECT count(*) AS conversations, count(*) FILTER (WHERE answered_at IS NULL) AS unanswered,
    coalesce(sum(extract(epoch FROM answered_at - started_at)), 0) AS response_s, count(answered_at) AS responses
  FROM conversations WHERE tenant_id = :tenant_id AND started_at >= :start AND started_at < :end
) AS c
CROSS JOIN (
  SELECT count(*) AS leads, count(*) FILTER (WHERE score >= 80) AS hot, count(converted_at) AS converted
  FROM leads WHERE tenant_id = :tenant_id AND created_at >= :start AND created_at < :end
) AS l
