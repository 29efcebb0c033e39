-- {position}: the position of a row. {cursor}, {table}: quoted. Infinite times are no part of it.
SELECT
  (SELECT {position} FROM {table} WHERE {cursor} >= '0001-01-01' AND {cursor} < '10000-01-01'
   ORDER BY {cursor} LIMIT 1) AS first,
  (SELECT {position} FROM {table} WHERE {cursor} >= '0001-01-01' AND {cursor} < '10000-01-01'
   ORDER BY {cursor} DESC LIMIT 1) AS last,
  EXISTS (SELECT FROM {table} WHERE {cursor} IS NULL) AS nulls,
  clock_timestamp() AS clock
