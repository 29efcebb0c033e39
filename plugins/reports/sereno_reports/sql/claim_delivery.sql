-- $1: seconds that a sender has. $2: whether what a sender left behind is sent again. Takes the next one.
UPDATE sereno_reports.delivery AS taken
SET state = 'sending', attempts = attempts + 1, changed_at = clock_timestamp(),
    next_at = clock_timestamp() + $1 * interval '1 second'
WHERE id = (
  SELECT id FROM sereno_reports.delivery
  WHERE next_at <= clock_timestamp() AND (state = 'waiting' OR state = 'sending' AND $2)
  ORDER BY next_at, id LIMIT 1
  FOR UPDATE SKIP LOCKED
)
RETURNING id, name, day, params_hash, revision, channel, address, message_id, attempts
