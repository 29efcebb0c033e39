-- $1 day, $2 revision or NULL for the newest, $3 how its params_hash begins; the one made last where
-- several are left.
SELECT id, name, day, zone, params_hash, revision, partial, created_at, html, csv, figures
FROM sereno_reports.report
WHERE day = $1 AND ($2::int IS NULL OR revision = $2) AND starts_with(params_hash, $3)
ORDER BY created_at DESC, revision DESC
LIMIT 1
