-- $1: the source. $2: the table. Returns where its rejects are.
SELECT DISTINCT position FROM ivr.rejects WHERE source = $1 AND table_name = $2 ORDER BY position
