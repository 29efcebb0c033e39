-- {schema}, {table}: literals.
SELECT index_name, seq_in_index, column_name
FROM information_schema.statistics
WHERE table_schema = {schema} AND table_name = {table}
ORDER BY index_name, seq_in_index
