-- What the backend of Django's Tasks says, on the application's own connection: params are psycopg's.

-- name: enqueue_task
-- The job, the call as JSON, from when on, priority. Django plans a statement each time that it is sent: this one, which most
-- are, takes the server a ninth less than that which names an argument.
SELECT sereno.enqueue(%(job)s, %(params)s::jsonb, %(run_at)s::timestamptz, %(priority)s::integer), clock_timestamp();

-- name: enqueue_task_for
-- The same, and who asks (the role does, where it may not say so).
SELECT sereno.enqueue(%(job)s, %(params)s::jsonb, %(run_at)s::timestamptz, %(priority)s::integer,
                      requested_by => CASE WHEN has_table_privilege('sereno.run', 'INSERT') THEN %(asker)s::text END),
       clock_timestamp();

-- name: task_result
-- A run of these jobs by its number. `tries`: its ended attempts and the one that goes on or was the last, in order.
SELECT r.state, r.params, r.priority, r.run_at, r.queued_at, r.started_at, r.finished_at, r.result, r.attempt,
       coalesce((SELECT min(a.started_at) FROM sereno.attempt a WHERE a.run_id = r.id), r.started_at) AS first_started_at,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('state', t.state, 'node', t.node, 'error', t.error,
                                                     'traceback', t.traceback) ORDER BY t.attempt), '[]')
          FROM (SELECT a.attempt, a.state, a.node, a.error, a.traceback FROM sereno.attempt a WHERE a.run_id = r.id
                UNION ALL
                SELECT r.attempt, r.state, r.node, r.error, r.traceback WHERE r.state <> 'queued') AS t) AS tries
  FROM sereno.run r
 WHERE r.id = %(run)s AND r.job = ANY (%(jobs)s);

-- name: request_run
-- The job, params as JSON, from when on, priority, a key, who asks (null: the role does).
SELECT r.run_id, r.new
  FROM sereno.request(%(job)s, %(params)s::jsonb, %(run_at)s::timestamptz, %(priority)s::integer, %(unique_key)s::text,
                      requested_by => CASE WHEN has_table_privilege('sereno.run', 'INSERT') THEN %(asker)s::text END) AS r;

-- name: hold_run
-- A run, its attempt, the attempt's token. No row when another owns the run; else none does until this transaction ends.
SELECT id FROM sereno.run
 WHERE id = %(run)s AND attempt = %(attempt)s AND token = %(token)s::uuid AND state = 'running' FOR SHARE;
