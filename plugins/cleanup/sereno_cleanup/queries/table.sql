-- name: table_exists
-- $1 text: a table's quoted name. Null where there is none.
SELECT to_regclass($1)::text;

-- name: count_rows
-- {table}: the quoted name of a table.
SELECT count(*) FROM {table};
