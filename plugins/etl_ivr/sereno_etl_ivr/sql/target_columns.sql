-- $1: the target. Returns the names of its columns; none when it is not there.
SELECT attname::text FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
