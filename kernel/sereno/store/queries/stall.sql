-- name: stalls_note
-- $1 runs, $2 tokens, $3 instants since which they have said nothing. What is not at work any more is forgotten.
WITH gone AS (
    DELETE FROM sereno.stall s
     WHERE NOT EXISTS (SELECT 1 FROM sereno.run r WHERE r.id = s.run_id AND r.token = s.token AND r.state = 'running')
)
INSERT INTO sereno.stall (token, run_id, since)
SELECT r.token, r.id, u.since
  FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) AS u(run_id, token, since)
  JOIN sereno.run r ON r.id = u.run_id AND r.token = u.token AND r.state = 'running'
ON CONFLICT (token) DO NOTHING;

-- name: stalls_over
-- $1 tokens
DELETE FROM sereno.stall WHERE token = ANY ($1::uuid[]);
