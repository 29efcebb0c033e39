-- {table}: the quoted name of a table.
SELECT EXISTS (SELECT FROM {table})
