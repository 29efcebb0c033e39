-- Made when aggregation first asks for it, beside those who load.
CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {definition}
