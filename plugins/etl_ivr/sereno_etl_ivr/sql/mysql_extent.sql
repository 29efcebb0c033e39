-- {position}: the position of a row. {cursor}, {table}: quoted.
SELECT
  (SELECT {position} FROM {table} WHERE {cursor} IS NOT NULL ORDER BY {cursor} LIMIT 1),
  (SELECT {position} FROM {table} WHERE {cursor} IS NOT NULL ORDER BY {cursor} DESC LIMIT 1),
  {nulls},
  UTC_TIMESTAMP(6)
