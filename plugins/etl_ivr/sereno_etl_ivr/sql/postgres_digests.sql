-- As mysql_digests.sql.
SELECT {day} AS day, count(*) AS rows, sum({checksum}) AS checksum FROM {table} WHERE {where} GROUP BY 1
