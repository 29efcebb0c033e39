-- Asked of nullable columns alone: of others, MySQL takes IS NULL to mean '0000-00-00'.
EXISTS (SELECT 1 FROM {table} WHERE {cursor} IS NULL)
