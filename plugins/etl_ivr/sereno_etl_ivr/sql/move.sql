-- $1: the source. $2: the table. $3: this run's token. $4: the position reached, NULL to stay. $5:
-- the same for people. $6: the position settled. $7: rows inserted. $8..$10: the target and the range in
-- which they were, where that is noted; else NULL. Locks the row, so that two runs merge
-- one after the other. Neither moves back. Returns nothing when another run holds the watermark.
WITH moved AS (
  UPDATE ivr.watermarks
  SET position = greatest(position, $4),
      cursor = CASE WHEN $4 > coalesce(position, $4 - 1) THEN $5 ELSE cursor END,
      settled = greatest(settled, $6),
      inserted = inserted + $7,
      noted = noted + CASE WHEN $8::text IS NULL THEN 0 ELSE $7 END,
      moved_at = now()
  WHERE source = $1 AND table_name = $2 AND holder = $3
  RETURNING position
),
noted AS (
  INSERT INTO ivr.touched (source, target, first, past, rows, changed)
  SELECT $1, $8, $9::bigint, $10::bigint, $7, false FROM moved WHERE $8 IS NOT NULL AND $7 > 0
)
SELECT position FROM moved
