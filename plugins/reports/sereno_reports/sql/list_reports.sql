-- $1: at most so many. $2: a name, or NULL. The newest revision of each report, the newest day first.
SELECT * FROM (
  SELECT DISTINCT ON (name, day, params_hash)
    id, name, day, zone, params_hash, recipient, revision, partial, created_at, figures, look
  FROM sereno_reports.report
  WHERE $2::text IS NULL OR name = $2
  ORDER BY name, day, params_hash, revision DESC
) AS newest
ORDER BY day DESC, created_at DESC
LIMIT $1
