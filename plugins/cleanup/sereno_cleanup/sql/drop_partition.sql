-- {table}: the quoted name of a partition.
DROP TABLE {table}
