-- $1: an index. Returns whether it may be used; nothing where it is not there.
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)
