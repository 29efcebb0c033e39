-- {id}, {name}, {table}: quoted. {limit}: at most so many.
SELECT {id}, {name} FROM {table} WHERE {id} IS NOT NULL AND {name} IS NOT NULL LIMIT {limit}
