-- $1: the source. $2: quarter hours before this instant go. $3: at most so many rows. Returns how many.
WITH expired AS (
  SELECT ctid FROM ivr.quarter_hours WHERE source = $1 AND quarter < $2 ORDER BY quarter LIMIT $3
),
gone AS (DELETE FROM ivr.quarter_hours WHERE ctid = ANY (ARRAY (SELECT ctid FROM expired)) RETURNING 1)
SELECT count(*) FROM gone
