-- name: node_request_make
-- $1 run, $2 verb, $3 by. Ask the node that works on a run; returns the request, or no row where none does.
WITH old AS (
    DELETE FROM sereno.node_request WHERE requested_at < clock_timestamp() - interval '1 hour'
)
INSERT INTO sereno.node_request (run_id, verb, requested_by)
SELECT id, $2, $3 FROM sereno.run WHERE id = $1 AND state = 'running'
RETURNING id, pg_notify('sereno', 'cancel')::text;

-- name: node_request_read
-- $1 request. Whether it is answered, and how.
SELECT answered_at IS NOT NULL AS answered, answer FROM sereno.node_request WHERE id = $1;

-- name: node_requests
-- $1 node. Requests of the last minute about attempts that this node works on.
SELECT q.id, q.verb, r.token FROM sereno.node_request q JOIN sereno.run r ON r.id = q.run_id
 WHERE q.answered_at IS NULL AND q.requested_at > clock_timestamp() - interval '1 minute'
   AND r.state = 'running' AND r.node = $1
 ORDER BY q.id LIMIT 100;

-- name: node_request_answer
-- $1 request, $2 answer. The first answer counts.
UPDATE sereno.node_request SET answer = $2, answered_at = clock_timestamp() WHERE id = $1 AND answered_at IS NULL;
