-- name: add_delivery
-- $1 name, $2 day, $3 params_hash, $4 revision, $5 channels, $6 the address of each, $7 the message id of each.
INSERT INTO sereno_reports.delivery (name, day, params_hash, revision, channel, address, message_id)
SELECT $1, $2, $3, $4, * FROM unnest($5::text[], $6::text[], $7::text[])
ON CONFLICT DO NOTHING;

-- name: claim_delivery
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
RETURNING id, name, day, params_hash, revision, channel, address, message_id, attempts;

-- name: end_delivery
-- $1 id, $2 attempt, $3 state, $4 error, $5 seconds until it may be tried again.
UPDATE sereno_reports.delivery
SET state = $3, error = $4, changed_at = clock_timestamp(), next_at = clock_timestamp() + $5 * interval '1 second'
WHERE id = $1 AND attempts = $2 AND state = 'sending';

-- name: list_deliveries
-- $1: at most so many, the newest first.
SELECT id, name, day, revision, channel, address, message_id, state, attempts, changed_at, error
FROM sereno_reports.delivery ORDER BY id DESC LIMIT $1;

-- name: lose_deliveries
-- Where nothing may be sent twice: what a sender left behind may have arrived, and is not sent again.
UPDATE sereno_reports.delivery
SET state = 'unknown', changed_at = clock_timestamp(), error = 'its sender ended while it was sent'
WHERE state = 'sending' AND next_at <= clock_timestamp();
