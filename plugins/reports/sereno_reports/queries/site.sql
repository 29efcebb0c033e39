-- name: site_list
-- $1 at most so many, $2 a name or NULL, $3 reports of days before this one or NULL, $4 names that the reader may see, NULL: all.
-- The newest revision of each report, the newest day first.
SELECT * FROM (
  SELECT DISTINCT ON (name, day, params_hash)
    id, name, day, zone, params_hash, recipient, revision, partial, created_at, look -> 'declared' -> 'title' AS title
  FROM sereno_reports.report
  WHERE ($2::text IS NULL OR name = $2) AND ($3::date IS NULL OR day < $3) AND ($4::text[] IS NULL OR name = ANY ($4))
  ORDER BY name, day, params_hash, revision DESC
) AS newest
ORDER BY day DESC, name, recipient
LIMIT $1;

-- name: site_names
SELECT DISTINCT name FROM sereno_reports.report ORDER BY name;

-- name: site_report
-- $1: its number.
SELECT id, name, day, zone, params_hash, recipient, revision, partial, created_at, html, csv, figures, look
FROM sereno_reports.report WHERE id = $1;

-- name: site_revisions
-- $1 name, $2 day, $3 params_hash.
SELECT id, revision, created_at FROM sereno_reports.report
WHERE name = $1 AND day = $2 AND params_hash = $3 ORDER BY revision DESC LIMIT 100;
