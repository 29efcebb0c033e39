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
 WHERE c.oid = to_regclass($1)
