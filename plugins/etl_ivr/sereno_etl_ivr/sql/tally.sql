-- Counts what a merge did. $1: the source. $2: the table. $3..$6: rows inserted, updated, rejected for
-- the first time, deleted.
UPDATE ivr.watermarks
SET inserted = inserted + $3, updated = updated + $4, rejected = rejected + $5, deleted = deleted + $6
WHERE source = $1 AND table_name = $2
