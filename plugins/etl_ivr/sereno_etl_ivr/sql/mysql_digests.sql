-- {day}: of a row. {checksum}: of its hash. One row a day: the day, its rows, and their sum.
SELECT {day}, COUNT(*), SUM({checksum}) FROM {table} WHERE {where} GROUP BY 1
