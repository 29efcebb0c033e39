-- name: table_shape
-- $1 text: a table's quoted name. $2 text: a column of it. No row where there is no such table.
-- `kind`: r an ordinary table, p a partitioned one. `type`: of the column, null when it has none of that name. `by_range`:
-- the table is partitioned by a range of that column alone. `cascades`: tables whose rows go, or change, with its rows.
SELECT c.relkind AS kind, a.atttypid::regtype::text AS type,
       coalesce(c.relkind = 'p' AND (SELECT p.partstrat = 'r' AND p.partnatts = 1 AND p.partattrs[0] = a.attnum
                                       FROM pg_partitioned_table p WHERE p.partrelid = c.oid), false) AS by_range,
       ARRAY(SELECT DISTINCT f.conrelid::regclass::text FROM pg_constraint f
              WHERE f.contype = 'f' AND f.confrelid = c.oid AND f.confdeltype IN ('c', 'n', 'd')
              ORDER BY 1) AS cascades
  FROM pg_class c
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.oid = to_regclass($1);

-- name: table_leaves
-- $1 text: a table's quoted name. The tables that hold its rows: itself, or the last partitions below it, with the upper
-- end of each one's range as PostgreSQL writes it (null: none, or no range).
SELECT t.relid::regclass::text AS name,
       (regexp_match(pg_get_expr(c.relpartbound, c.oid), ' TO \(''([^'']*)''\)$'))[1] AS upper_end,
       t.level = 1 AS direct
  FROM pg_partition_tree(to_regclass($1)) t JOIN pg_class c ON c.oid = t.relid
 WHERE t.isleaf
UNION ALL
SELECT c.oid::regclass::text, NULL, false FROM pg_class c
 WHERE c.oid = to_regclass($1) AND c.relkind = 'r' AND NOT c.relispartition
   AND NOT EXISTS (SELECT FROM pg_partition_tree(c.oid))
 ORDER BY 2 NULLS LAST, 1;

-- name: table_columns
-- $1 text: a table's quoted name. Its columns in order, with their types; those that are computed are told.
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attgenerated <> '' AS generated
  FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;

-- name: is_indexed
-- $1 text: a table's quoted name. $2 text: a column. Whether an index begins with that column.
SELECT EXISTS (
  SELECT FROM pg_index i
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND a.attname = $2
);

-- name: cutoff
-- $1 interval: how long rows are kept. $2 text: the zone whose days and wall clock a column without one means.
-- By the database's clock, as text that any of the three types of column takes.
SELECT (clock_timestamp() - $1::interval)::text AS "timestamp with time zone",
       ((clock_timestamp() AT TIME ZONE $2) - $1::interval)::text AS "timestamp without time zone",
       ((clock_timestamp() AT TIME ZONE $2) - $1::interval)::date::text AS date;

-- name: expired_rows_first
-- As expired_rows, from the oldest on.
SELECT ctid, {column}::text AS place FROM {table}
 WHERE {column} < $1::text::{type} AND ({where})
 ORDER BY {column} LIMIT $2;

-- name: expired_rows_next
-- As expired_rows_first, from $3 on: where the last look ended. {after}: >= or >.
SELECT ctid, {column}::text AS place FROM {table}
 WHERE {column} < $1::text::{type} AND {column} {after} $3::text::{type} AND ({where})
 ORDER BY {column} LIMIT $2;

-- name: delete_rows
-- $1 tid[]: rows as a look found them. $2 text: the cutoff. A row that somebody is changing is locked: it is skipped, and
-- judged again by the next run; one that was changed since the look stands elsewhere. {returning}: what is kept of each.
WITH batch AS (
  SELECT ctid FROM {table}
   WHERE ctid = ANY($1::tid[]) AND {column} < $2::text::{type} AND ({where})
     FOR UPDATE SKIP LOCKED
)
DELETE FROM {table} AS expired USING batch WHERE expired.ctid = batch.ctid
RETURNING {returning};

-- name: constraints_now
-- Triggers and references that wait for the commit speak now.
SET CONSTRAINTS ALL IMMEDIATE;

-- name: lock_partition
-- {table}: the quoted name of a partition that is to be dropped: nothing comes into it from here on.
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;

-- name: has_rows
-- {table}: the quoted name of a table.
SELECT EXISTS (SELECT FROM {table});

-- name: drop_partition
-- {table}: the quoted name of a partition.
DROP TABLE {table};

-- name: replication_lag
-- Seconds by which the slowest standby is behind, as far as this role may know; 0 without one.
SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8 FROM pg_stat_replication;
