-- $1 id, $2 attempt, $3 state, $4 error, $5 seconds until it may be tried again.
UPDATE sereno_reports.delivery
SET state = $3, error = $4, changed_at = clock_timestamp(), next_at = clock_timestamp() + $5 * interval '1 second'
WHERE id = $1 AND attempts = $2 AND state = 'sending'
