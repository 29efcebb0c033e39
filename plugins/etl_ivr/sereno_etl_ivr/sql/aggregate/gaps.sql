-- How many changes of rows were not noted. $1: the sources. $2: the names of tables.
SELECT source, table_name, inserted + updated + deleted - noted AS gap FROM ivr.watermarks
WHERE source = ANY ($1) AND table_name = ANY ($2)
