-- $1: the name of a table.
SELECT to_regclass($1)
