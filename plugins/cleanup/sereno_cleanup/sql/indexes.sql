-- $1 text: a table's quoted name. Its B-tree indexes.
SELECT i.indexrelid AS oid, i.indexrelid::regclass::text AS name
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
 WHERE i.indrelid = to_regclass($1) AND a.amname = 'btree' AND i.indisvalid ORDER BY 2
