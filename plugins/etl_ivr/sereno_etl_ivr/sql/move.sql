-- $1: the source. $2: the table. $3: this run's token. $4: the position reached, NULL to stay. $5:
-- the same for people. $6: the position settled. $7: rows inserted. Locks the row, so that two runs merge
-- one after the other. Neither moves back. Returns nothing when another run holds the watermark.
UPDATE ivr.watermarks
SET position = greatest(position, $4),
    cursor = CASE WHEN $4 > coalesce(position, $4 - 1) THEN $5 ELSE cursor END,
    settled = greatest(settled, $6),
    inserted = inserted + $7,
    moved_at = now()
WHERE source = $1 AND table_name = $2 AND holder = $3
RETURNING position
