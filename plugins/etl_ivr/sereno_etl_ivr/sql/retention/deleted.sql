-- $1: the source. $2: the table. $3: rows that were taken out before go. $4: at most so many. Returns how many.
WITH expired AS (
  SELECT ctid FROM ivr.deleted
  WHERE source = $1 AND table_name = $2 AND deleted_at < $3 ORDER BY deleted_at LIMIT $4
),
gone AS (DELETE FROM ivr.deleted WHERE ctid = ANY (ARRAY (SELECT ctid FROM expired)) RETURNING 1)
SELECT count(*) FROM gone
