-- $1 name, $2 day, $3 params_hash, $4 figures, $5 look: the newest revision, whether it says the same of its
-- period, and whether it is the same in all that is written.
SELECT revision, partial, figures - 'context' = $4::jsonb - 'context' AS same,
  figures = $4::jsonb AND look IS NOT DISTINCT FROM $5::jsonb AS equal
FROM sereno_reports.report
WHERE name = $1 AND day = $2 AND params_hash = $3
ORDER BY revision DESC
LIMIT 1
