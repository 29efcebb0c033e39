-- $1 name, $2 params_hash, $3 first days: the newest figures of each period that was over.
SELECT DISTINCT ON (day) day, figures
FROM sereno_reports.report
WHERE name = $1 AND params_hash = $2 AND day = ANY ($3::date[]) AND NOT partial AND look ? 'declared'
ORDER BY day DESC, revision DESC
