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
 ORDER BY 2 NULLS LAST, 1
