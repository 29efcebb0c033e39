-- name: postgres_bound
-- The position of the row after the first {rows}: the index alone is read.
SELECT {position} FROM {table} WHERE {where} ORDER BY {order} LIMIT 1 OFFSET {rows};

-- name: postgres_columns
-- $1: the table's name, as PostgreSQL reads it. A numeric without a scale may have fractions.
SELECT a.attname::text AS name, t.typname::text AS type, NOT a.attnotnull AS nullable,
  t.typname IN ('float4', 'float8')
  OR t.typname = 'numeric' AND (a.atttypmod < 0 OR (a.atttypmod - 4) & 2047 <> 0) AS fractions
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: postgres_count
SELECT count(*) FROM (SELECT FROM {table} WHERE {where} LIMIT {limit}) AS counted;

-- name: postgres_digests
-- As mysql_digests.
SELECT {day} AS day, count(*) AS rows, sum({checksum}) AS checksum FROM {table} WHERE {where} GROUP BY 1;

-- name: postgres_extent
-- As mysql_extent.sql. Infinite times are no part of it.
SELECT
  (SELECT {position} FROM {table} WHERE {some} AND {cursor} >= '0001-01-01' AND {cursor} < '10000-01-01'
   ORDER BY {order} LIMIT 1) AS first,
  (SELECT {position} FROM {table} WHERE {some} AND {cursor} >= '0001-01-01' AND {cursor} < '10000-01-01'
   ORDER BY {order} DESC LIMIT 1) AS last,
  EXISTS (SELECT FROM {table} WHERE {none} AND {cursor} IS NULL) AS nulls,
  clock_timestamp() AS clock;

-- name: postgres_indexes
-- $1: the table's name. One row a column of an index, in the index's order.
SELECT i.indisprimary AS is_primary, k.number AS number, a.attname::text AS name
FROM pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, number)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL
ORDER BY i.indexrelid, k.number;

-- name: postgres_page
SELECT {content}, {position}, {cells}, {moment} FROM {table} WHERE {where};
