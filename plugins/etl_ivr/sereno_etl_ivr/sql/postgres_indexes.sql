-- $1: the table's name. One row a column of an index, in the index's order.
SELECT i.indisprimary AS is_primary, k.number AS number, a.attname::text AS name
FROM pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, number)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL
ORDER BY i.indexrelid, k.number
