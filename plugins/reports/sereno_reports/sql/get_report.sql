-- $1 name, $2 day, $3 revision or NULL for the newest, $4 how its params_hash begins, $5 the recipient or
-- NULL; the one made last where several are left.
SELECT id, name, day, zone, params_hash, recipient, revision, partial, created_at, html, csv, figures, look
FROM sereno_reports.report
WHERE name = $1 AND day = $2 AND ($3::int IS NULL OR revision = $3) AND starts_with(params_hash, $4)
  AND ($5::text IS NULL OR recipient = $5)
ORDER BY created_at DESC, revision DESC
LIMIT 1
