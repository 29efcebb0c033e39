-- $1: the table's name, as PostgreSQL reads it.
SELECT a.attname::text AS name, t.typname::text AS type, NOT a.attnotnull AS nullable
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
