-- $1 name, $2 day, $3 params_hash, $4 figures: the newest revision, and whether it says the same.
SELECT revision, partial, figures = $4 AS same
FROM sereno_reports.report
WHERE name = $1 AND day = $2 AND params_hash = $3
ORDER BY revision DESC
LIMIT 1
