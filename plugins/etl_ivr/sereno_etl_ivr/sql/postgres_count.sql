SELECT count(*) FROM (SELECT FROM {table} WHERE {where} LIMIT {limit}) AS counted
