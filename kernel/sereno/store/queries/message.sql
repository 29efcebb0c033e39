-- Messages of jobs: kept with their run's ownership, for who carries them; where nobody does, they stay.

-- name: message_write
-- $1 node, $2 run, $3 attempt, $4 token of the attempt, $5 token of the message, $6 severity, $7 message, attachments: $8
-- names, $9 media types, $10 data. Only while this node owns that attempt; $1 null: this transaction has written its
-- outcome. Once for each token, however often it is written.
WITH said AS (
    INSERT INTO sereno.message (token, run_id, attempt, job, severity, message)
    SELECT $5, r.id, $3, r.job, $6, $7 FROM (
        SELECT id, job FROM sereno.run
         WHERE id = $2 AND ($1::uuid IS NULL OR (node = $1 AND attempt = $3 AND token = $4::uuid AND state = 'running'))
           FOR SHARE) r
    ON CONFLICT (token) DO NOTHING RETURNING id
)
INSERT INTO sereno.message_attachment (message_id, position, name, media_type, data)
SELECT s.id, u.position, u.name, u.media_type, u.data
  FROM said s, unnest($8::text[], $9::text[], $10::bytea[]) WITH ORDINALITY AS u(name, media_type, data, position);

-- name: messages_keep
-- $1 at most. Keep what nobody has given to anybody: no plugin carries it, and none will. Returns a row for each.
UPDATE sereno.message SET routed_at = clock_timestamp(), carriers = 0
 WHERE id IN (SELECT id FROM sereno.message WHERE routed_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, job;

-- name: messages_unheard
-- How many messages were kept that nobody carries, and when the newest was said.
SELECT count(*) AS messages, max(said_at) AS newest FROM sereno.message WHERE routed_at IS NOT NULL AND carriers = 0;

-- name: message_prune
-- $1 interval, $2 at most. Forget what was said longer ago, where nobody carries messages.
DELETE FROM sereno.message WHERE id IN (
    SELECT id FROM sereno.message
     WHERE said_at < clock_timestamp() - $1::interval AND routed_at IS NOT NULL ORDER BY said_at LIMIT $2);
