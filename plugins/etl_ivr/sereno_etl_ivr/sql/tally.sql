-- Counts what a merge did. $1: the source. $2: the table. $3..$6: rows inserted, updated, rejected for
-- the first time, deleted. $7..$9: the target and the range, where that is noted; else NULL.
WITH counted AS (
  UPDATE ivr.watermarks
  SET inserted = inserted + $3, updated = updated + $4, rejected = rejected + $5, deleted = deleted + $6,
      noted = noted + CASE WHEN $7::text IS NULL THEN 0 ELSE $3 + $4 + $6 END
  WHERE source = $1 AND table_name = $2
)
INSERT INTO ivr.touched (source, target, first, past, rows, changed)
SELECT $1, $7, $8::bigint, $9::bigint, $3 + $4 + $6, $4 + $6 > 0
WHERE $7 IS NOT NULL AND $3 + $4 + $6 > 0
