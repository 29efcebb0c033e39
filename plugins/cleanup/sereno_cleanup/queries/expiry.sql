-- name: table_shape
-- $1 text: a table's quoted name. $2 text: a column of it. No row where there is no such table.
-- `kind`: r an ordinary table, p a partitioned one. `type`: of the column (a domain's own), null when it has none of that name. `by_range`:
-- the table is partitioned by a range of that column alone. `cascades`: tables whose rows go, or change, with its rows.
SELECT c.relkind AS kind, coalesce(nullif(t.typbasetype, 0), t.oid)::regtype::text AS type,
       coalesce(c.relkind = 'p' AND (SELECT p.partstrat = 'r' AND p.partnatts = 1 AND p.partattrs[0] = a.attnum
                                       FROM pg_partitioned_table p WHERE p.partrelid = c.oid), false) AS by_range,
       ARRAY(SELECT DISTINCT f.conrelid::regclass::text FROM pg_constraint f
              WHERE f.contype = 'f' AND f.confrelid = c.oid AND f.confdeltype IN ('c', 'n', 'd')
              ORDER BY 1) AS cascades
  FROM pg_class c
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.oid = to_regclass($1);

-- name: table_leaves
-- $1 text: a table's quoted name. The tables that hold its rows: itself, its partitions, whoever inherits from it. With the
-- upper end of a partition's range as PostgreSQL writes it (null: none, or no range).
WITH RECURSIVE below AS (
  SELECT to_regclass($1)::oid AS oid, 0 AS level
  UNION
  SELECT i.inhrelid, below.level + 1 FROM below JOIN pg_inherits i ON i.inhparent = below.oid
)
SELECT c.oid::regclass::text AS name,
       (regexp_match(pg_get_expr(c.relpartbound, c.oid), ' TO \(''([^'']*)''\)$'))[1] AS upper_end,
       bool_or(below.level = 1) AS direct
  FROM below JOIN pg_class c ON c.oid = below.oid
 WHERE c.relkind <> 'p'
 GROUP BY c.oid, c.relpartbound
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

-- name: expired_rows_count
-- $1 text: the cutoff. $2: count so far. How many rows would go, and of when the oldest is.
SELECT count(*) AS rows, min({column})::text AS oldest
  FROM (SELECT {column} FROM ONLY {table} WHERE {column} < (SELECT $1::text::{type}) AND ({where})
         ORDER BY {column} LIMIT $2) AS found;

-- name: expired_rows_first
-- $1 text: the cutoff. $2: so many of the oldest. Where they stand, as one text, and where this look ended: a row for each
-- would cost our side more than the server. The cutoff is read once, not for each row.
SELECT coalesce(array_agg(ctid), '{}')::text AS ids, max(place)::text AS place
  FROM (SELECT ctid, {column} AS place FROM ONLY {table}
         WHERE {column} < (SELECT $1::text::{type}) AND ({where})
         ORDER BY {column} LIMIT $2) AS found;

-- name: expired_rows_next
-- As expired_rows_first, from $3 on: where the last look ended. {after}: >= or >.
SELECT coalesce(array_agg(ctid), '{}')::text AS ids, max(place)::text AS place
  FROM (SELECT ctid, {column} AS place FROM ONLY {table}
         WHERE {column} < (SELECT $1::text::{type}) AND {column} {after} (SELECT $3::text::{type}) AND ({where})
         ORDER BY {column} LIMIT $2) AS found;

-- name: delete_rows
-- $1 text: a tid[], rows as a look found them. $2 text: the cutoff. A row that somebody is changing is locked: it is skipped,
-- and judged again by the next run; one that was changed since the look stands elsewhere. A
-- place is one of this table ONLY: whoever inherits from it has a row of its own there. {returning}: what is kept of each.
DELETE FROM ONLY {table} AS expired WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM ONLY {table}
   WHERE ctid = ANY ($1::text::tid[]) AND {column} < (SELECT $2::text::{type}) AND ({where})
     FOR UPDATE SKIP LOCKED))
{returning};

-- name: rows_kept
-- As delete_rows: how many of these rows are there still, though nobody else holds them.
SELECT count(*) FROM (
  SELECT FROM ONLY {table}
   WHERE ctid = ANY ($1::text::tid[]) AND {column} < (SELECT $2::text::{type}) AND ({where})
     FOR UPDATE SKIP LOCKED) AS kept;

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
