-- Messages of jobs, which the kernel keeps: given to those who carry them once, with what is attached to them.

-- name: messages_to_route
-- $1 at most. What nobody has given to its carriers yet; locked for who does.
SELECT id, job, severity, message -> 'to' AS addresses
  FROM sereno.message WHERE routed_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED;

-- name: message_route
-- $1 id, $2 node, carriers: $3 names, $4 due at (null: now)
WITH routed AS (
    UPDATE sereno.message SET routed_at = clock_timestamp(), carriers = cardinality($3::text[])
     WHERE id = $1 RETURNING *
)
INSERT INTO sereno_notify.notification (key, notifier, kind, severity, job, open, message, state, due_at, raised_by,
                                        message_id, token)
SELECT 'message ' || r.token, u.notifier, 'message', r.severity, r.job, false,
       r.message || jsonb_build_object('at', r.said_at, 'facts', jsonb_build_object('run', r.run_id)), 'queued',
       coalesce(u.due_at, clock_timestamp()), $2::uuid, r.id, r.token
  FROM routed r, unnest($3::text[], $4::timestamptz[]) AS u(notifier, due_at);

-- name: message_attachments
-- $1 message
SELECT name, media_type, data FROM sereno.message_attachment WHERE message_id = $1 ORDER BY position;

-- name: message_prune
-- $1 interval, $2 at most. Forget what was said longer ago and is over for all that carry it.
DELETE FROM sereno.message WHERE id IN (
    SELECT m.id FROM sereno.message m
     WHERE m.said_at < clock_timestamp() - $1::interval AND m.routed_at IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM sereno_notify.notification n
                        WHERE n.message_id = m.id AND n.state = 'queued' AND n.due_at >= clock_timestamp() - $1::interval)
     ORDER BY m.said_at LIMIT $2);
