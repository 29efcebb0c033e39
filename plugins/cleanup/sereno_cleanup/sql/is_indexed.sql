-- $1: the quoted name of the table. Whether an index begins with expire_date.
SELECT EXISTS (
  SELECT FROM pg_index i
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND a.attname = 'expire_date'
)
