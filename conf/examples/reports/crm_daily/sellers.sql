-- What each seller of the company did, whoever had most conversations first.
SELECT u.name AS seller, coalesce(c.conversations, 0) AS conversations, coalesce(c.response_s, 0) AS response_s,
  coalesce(c.responses, 0) AS responses, coalesce(l.leads, 0) AS leads, coalesce(l.converted, 0) AS converted
FROM users AS u
LEFT JOIN (
  SELECT seller_id, count(*) AS conversations, count(answered_at) AS responses,
    sum(extract(epoch FROM answered_at - started_at)) AS response_s
  FROM conversations WHERE started_at >= :start AND started_at < :end GROUP BY seller_id
) AS c ON c.seller_id = u.id
LEFT JOIN (
  SELECT seller_id, count(*) AS leads, count(converted_at) AS converted
  FROM leads WHERE created_at >= :start AND created_at < :end GROUP BY seller_id
) AS l ON l.seller_id = u.id
WHERE u.tenant_id = :tenant_id AND u.role = 'seller' AND u.is_active
ORDER BY conversations DESC, u.name, u.id
