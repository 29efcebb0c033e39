-- Messages of jobs: kept with their run's ownership, routed once, and what carries them finds them whole.

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

-- name: messages_to_route
-- $1 at most. What nobody has given to its carriers yet; locked for who does.
SELECT id, token, run_id, job, severity, message, said_at
  FROM sereno.message WHERE routed_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED;

-- name: message_route
-- $1 id, $2 node, carriers: $3 names, $4 due at (null: now)
WITH routed AS (
    UPDATE sereno.message SET routed_at = clock_timestamp(), carriers = cardinality($3::text[])
     WHERE id = $1 RETURNING *
)
INSERT INTO sereno.notification (key, notifier, kind, severity, job, open, message, state, due_at, raised_by, message_id,
                                 token)
SELECT 'message ' || r.token, u.notifier, 'message', r.severity, r.job, false,
       r.message || jsonb_build_object('at', r.said_at, 'facts', jsonb_build_object('run', r.run_id)), 'queued',
       coalesce(u.due_at, clock_timestamp()), $2::uuid, r.id, r.token
  FROM routed r, unnest($3::text[], $4::timestamptz[]) AS u(notifier, due_at);

-- name: message_attachments
-- $1 message
SELECT name, media_type, data FROM sereno.message_attachment WHERE message_id = $1 ORDER BY position;

-- name: messages_unheard
-- How many messages were kept that nobody carries, and when the newest was said.
SELECT count(*) AS messages, max(said_at) AS newest FROM sereno.message WHERE routed_at IS NOT NULL AND carriers = 0;

-- name: message_prune
-- $1 interval, $2 at most. Forget what was said longer ago and is over for all that carry it.
DELETE FROM sereno.message WHERE id IN (
    SELECT m.id FROM sereno.message m
     WHERE m.said_at < clock_timestamp() - $1::interval AND m.routed_at IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM sereno.notification n
                        WHERE n.message_id = m.id AND n.state = 'queued' AND n.due_at >= clock_timestamp() - $1::interval)
     ORDER BY m.said_at LIMIT $2);
