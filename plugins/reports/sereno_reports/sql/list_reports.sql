-- $1: at most so many. The newest revision of each report, the newest day first.
SELECT * FROM (
  SELECT DISTINCT ON (name, day, params_hash)
    id, name, day, zone, params_hash, revision, partial, created_at, length(html) AS html_chars, figures
  FROM sereno_reports.report
  ORDER BY name, day, params_hash, revision DESC
) AS newest
ORDER BY day DESC, created_at DESC
LIMIT $1
