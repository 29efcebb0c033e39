-- $1: the source. $2: the table. $3: rejects that no sync has met since go. $4: at most so many. Returns how many.
WITH expired AS (
  SELECT id FROM ivr.rejects WHERE source = $1 AND table_name = $2 AND seen_at < $3 ORDER BY id LIMIT $4
),
gone AS (DELETE FROM ivr.rejects AS r USING expired WHERE r.id = expired.id RETURNING 1)
SELECT count(*) FROM gone
