-- {table}: the quoted name of a table.
SELECT count(*) FROM {table}
