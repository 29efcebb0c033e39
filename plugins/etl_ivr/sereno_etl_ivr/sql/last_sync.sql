-- $1: the source. $2: the table. $3: rows read. $4: those of them that could not be loaded.
UPDATE ivr.watermarks SET last_read = $3, last_rejected = $4 WHERE source = $1 AND table_name = $2 AND $3 > 0
