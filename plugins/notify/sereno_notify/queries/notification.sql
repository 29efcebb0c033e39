-- Notifications: raised once per key and notifier, sent by one node at a time, kept as a record. A row for the notifier '' is
-- no message: the kernel of the version before marks by it that hooks have heard of an overdue job.

-- name: notification_expire
-- $1 key, $2 notifiers, $3 interval. What was told longer ago than that may be told again.
UPDATE sereno_notify.notification SET open = false
 WHERE key = $1 AND open AND notifier = ANY($2::text[]) AND raised_at <= clock_timestamp() - $3::interval
RETURNING notifier, repeats;

-- name: notification_raise
-- $1 key, $2 kind, $3 severity, $4 job, $5 message, $6 node, notifiers: $7 names, $8 due at (null: now), $9 suppressed.
-- A row for each notifier that was not told yet; for the others the message counts as repeated, unless it is of a run
-- that has been counted (the monitor finds the last failure again and again). `new`: it was not told yet.
INSERT INTO sereno_notify.notification AS n (key, notifier, kind, severity, job, open, message, suppressed, due_at,
                                             raised_by)
SELECT $1, u.notifier, $2, $3, $4, true, $5, u.suppressed, coalesce(u.due_at, clock_timestamp()), $6::uuid
  FROM unnest($7::text[], $8::timestamptz[], $9::integer[]) AS u(notifier, due_at, suppressed)
ON CONFLICT (key, notifier) WHERE open DO UPDATE
   SET repeats = n.repeats + CASE WHEN sereno.whole(excluded.message -> 'facts' ->> 'run')
                                       <= sereno.whole(coalesce(n.message -> 'facts' ->> 'last_run',
                                                                n.message -> 'facts' ->> 'run'))
                                  THEN 0 ELSE 1 END,
       message = CASE WHEN excluded.message -> 'facts' ? 'run' AND jsonb_typeof(n.message -> 'facts') = 'object'
                      THEN jsonb_set(n.message, '{facts,last_run}', excluded.message -> 'facts' -> 'run')
                      ELSE n.message END
RETURNING n.notifier, (n.xmax = 0) AS new;

-- name: notification_close
-- $1 key. It is over: what nobody has tried to send yet is dropped. Returns who was told, or is about to be.
UPDATE sereno_notify.notification
   SET open = false, state = CASE WHEN state = 'waiting' AND attempts = 0 THEN 'dropped' ELSE state END
 WHERE key = $1 AND open AND notifier <> ''
RETURNING notifier, severity, state;

-- name: notification_resolve
-- $1 key, $2 kind, $3 severity, $4 job, $5 message, $6 node, notifiers: $7 names, $8 due at (null: now)
INSERT INTO sereno_notify.notification (key, notifier, kind, severity, job, resolved, open, message, due_at, raised_by)
SELECT $1, u.notifier, $2, $3, $4, true, false, $5, coalesce(u.due_at, clock_timestamp()), $6::uuid
  FROM unnest($7::text[], $8::timestamptz[]) AS u(notifier, due_at);

-- name: notification_open
-- $1 kinds. What was told and is not over; `told_at`: when, the longest ago.
SELECT key, kind, job, min(raised_at) AS told_at FROM sereno_notify.notification
 WHERE open AND notifier <> '' AND kind = ANY($1::text[]) GROUP BY key, kind, job;

-- name: notification_claim
-- $1 node, $2 notifiers of this node, $3 interval, $4 at most, $5 at most once: then nobody ever takes it again, and while
-- nothing is said of it, it may have arrived. What is due, each for one node: nobody else has it for that long. A message
-- waits for an older one of the same key that is on its way. Those of jobs are `queued` in place of `waiting`.
WITH due AS (
    SELECT n.id FROM sereno_notify.notification n
     WHERE (n.state = 'waiting' OR n.state = 'queued') AND n.due_at <= clock_timestamp() AND n.notifier = ANY($2::text[])
       AND NOT EXISTS (SELECT 1 FROM sereno_notify.notification o
                        WHERE o.state = 'waiting' AND o.key = n.key AND o.notifier = n.notifier AND o.id < n.id)
     ORDER BY n.due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE sereno_notify.notification n SET attempts = n.attempts + 1, due_at = clock_timestamp() + $3::interval, sent_by = $1,
       state = CASE WHEN $5::boolean THEN 'unknown' ELSE n.state END
  FROM due WHERE n.id = due.id
RETURNING n.id, n.key, n.notifier, n.kind, n.severity, n.job, n.resolved, n.message, n.suppressed, n.attempts,
          n.message_id, n.token;

-- name: notification_done
-- $1 id, $2 attempt, $3 state, $4 error, $5 interval until the next try. Only while no other node has taken it over.
UPDATE sereno_notify.notification
   SET state = CASE WHEN $3::text = 'waiting' AND message_id IS NOT NULL THEN 'queued' ELSE $3::text END, error = $4,
       due_at = clock_timestamp() + coalesce($5::interval, interval '0'),
       sent_at = CASE $3::text WHEN 'sent' THEN clock_timestamp() END
 WHERE id = $1 AND attempts = $2 AND state IN ('waiting', 'queued', 'unknown');

-- name: notification_prune
-- $1 interval, $2 at most. Forget what was told longer ago, and what waits as long for a notifier that nobody has any more.
DELETE FROM sereno_notify.notification WHERE id IN (
    SELECT id FROM sereno_notify.notification
     WHERE raised_at < clock_timestamp() - $1::interval
       AND (state NOT IN ('waiting', 'queued') OR due_at < clock_timestamp() - $1::interval) ORDER BY raised_at LIMIT $2);

-- name: run_state
-- $1 run. What a message about a failure needs to know of it.
SELECT state FROM sereno.run WHERE id = $1;
