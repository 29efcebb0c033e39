-- Deletes facts of quarter hours that are frozen; the quarter hours stay. $1: the source. $2: the instant.
-- $3: at most so many calls. Returns how many.
WITH expired AS MATERIALIZED (
  SELECT call FROM ivr.call_facts WHERE source = $1 AND quarter < $2 ORDER BY quarter LIMIT $3
),
visits AS (
  DELETE FROM ivr.queue_visits AS f USING expired WHERE f.source = $1 AND f.call = expired.call
),
agents AS (
  DELETE FROM ivr.agent_calls AS f USING expired WHERE f.source = $1 AND f.call = expired.call
),
calls AS (
  DELETE FROM ivr.call_facts AS f USING expired WHERE f.source = $1 AND f.call = expired.call RETURNING 1
)
SELECT count(*) FROM calls
