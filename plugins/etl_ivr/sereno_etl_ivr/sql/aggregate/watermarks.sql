-- $1: the sources. $2: the names of tables of calls, as ivr.watermarks has them.
SELECT source, position, zone FROM ivr.watermarks
WHERE source = ANY ($1) AND table_name = ANY ($2) AND position IS NOT NULL
