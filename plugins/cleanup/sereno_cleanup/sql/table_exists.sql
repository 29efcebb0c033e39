-- $1 text: a table's quoted name. Null where there is none.
SELECT to_regclass($1)::text
