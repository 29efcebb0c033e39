-- $1: the table's name, as PostgreSQL reads it. A numeric without a scale may have fractions.
SELECT a.attname::text AS name, t.typname::text AS type, NOT a.attnotnull AS nullable,
  t.typname IN ('float4', 'float8')
  OR t.typname = 'numeric' AND (a.atttypmod < 0 OR (a.atttypmod - 4) & 2047 <> 0) AS fractions
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
