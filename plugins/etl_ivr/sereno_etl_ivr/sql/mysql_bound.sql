-- The position of the row after the first {rows}: the index alone is read.
SELECT {position} FROM {table} WHERE {where} ORDER BY {cursor} LIMIT 1 OFFSET {rows}
