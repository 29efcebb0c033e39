-- name: add_delivery
-- $1 name, $2 day, $3 params_hash, $4 revision, $5 channels, $6 the address of each, $7 the message id of each. What
-- the kernel carries is queued, where senders of the version before do not look.
INSERT INTO sereno_reports.delivery (name, day, params_hash, revision, channel, address, message_id, state)
SELECT $1, $2, $3, $4, channel, address, message_id, CASE channel WHEN 'folder' THEN 'waiting' ELSE 'queued' END
FROM unnest($5::text[], $6::text[], $7::text[]) AS who(channel, address, message_id)
ON CONFLICT DO NOTHING;

-- name: adopt_deliveries
-- $1: whether what a sender left behind is sent again. Mails of the version before, which sent them itself.
UPDATE sereno_reports.delivery
SET state = 'queued', attempts = 0, changed_at = clock_timestamp()
WHERE channel = 'mail' AND (state = 'waiting' OR state = 'sending' AND $1 AND next_at <= clock_timestamp());

-- name: claim_delivery
-- $1: seconds that a sender has. $2: whether what a sender left behind is sent again. Takes the next one.
UPDATE sereno_reports.delivery AS taken
SET state = 'sending', attempts = attempts + 1, changed_at = clock_timestamp(),
    next_at = clock_timestamp() + $1 * interval '1 second'
WHERE id = (
  SELECT id FROM sereno_reports.delivery
  WHERE channel = 'folder' AND next_at <= clock_timestamp() AND (state = 'waiting' OR state = 'sending' AND $2)
  ORDER BY next_at, id LIMIT 1
  FOR UPDATE SKIP LOCKED
)
RETURNING id, name, day, params_hash, revision, channel, address, message_id, attempts;

-- name: end_delivery
-- $1 id, $2 attempt, $3 state, $4 error, $5 seconds until it may be tried again.
UPDATE sereno_reports.delivery
SET state = $3, error = $4, changed_at = clock_timestamp(), next_at = clock_timestamp() + $5 * interval '1 second'
WHERE id = $1 AND attempts = $2 AND state = 'sending';

-- name: end_queued
-- $1 id, $2 state, $3 message id, $4 what it lacks, or why there is no message.
UPDATE sereno_reports.delivery
SET state = $2, message_id = coalesce($3, message_id), error = $4, attempts = 1, changed_at = clock_timestamp()
WHERE id = $1 AND state = 'queued';

-- name: list_deliveries
-- $1: at most so many, the newest first.
SELECT id, name, day, revision, channel, address, message_id, state, attempts, changed_at, error
FROM sereno_reports.delivery ORDER BY id DESC LIMIT $1;

-- name: lose_deliveries
-- Where nothing may be sent twice: what a sender left behind may have arrived, and is not sent again.
UPDATE sereno_reports.delivery
SET state = 'unknown', changed_at = clock_timestamp(), error = 'its sender ended while it was sent'
WHERE state = 'sending' AND next_at <= clock_timestamp();

-- name: messages_kept
-- $1: what messages are known by, in the kernel's database, where no plugin carries them.
SELECT m.token::text AS message_id, NULL AS notifier, 0 AS attempts, NULL AS error,
  CASE WHEN m.routed_at IS NULL THEN 'waiting' ELSE 'unheard' END AS state, coalesce(m.routed_at, m.said_at) AS changed_at
FROM sereno.message m WHERE m.token = ANY ($1::text[]::uuid[])
ORDER BY m.id;

-- name: message_outcomes
-- $1: as before, where sereno-notify carries them. What became of each, by who does; notifier NULL: nobody does, or it is
-- not known yet who.
SELECT m.token::text AS message_id, n.notifier, n.attempts, n.error,
  CASE WHEN m.routed_at IS NULL OR n.state = 'queued' THEN 'waiting' ELSE coalesce(n.state, 'unheard') END AS state,
  coalesce(n.sent_at, m.routed_at, m.said_at) AS changed_at
FROM sereno.message m LEFT JOIN sereno_notify.notification n ON n.message_id = m.id
WHERE m.token = ANY ($1::text[]::uuid[])
ORDER BY m.id, n.notifier;

-- name: queued_deliveries
-- $1: at most so many.
SELECT id, name, day, params_hash, revision, channel, address
FROM sereno_reports.delivery WHERE state = 'queued' ORDER BY id LIMIT $1;
