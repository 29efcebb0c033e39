-- name: mysql_bound
-- The position of the row after the first {rows}: the index alone is read.
SELECT {position} FROM {table} WHERE {where} ORDER BY {order} LIMIT 1 OFFSET {rows};

-- name: mysql_columns
-- {schema}, {table}: literals.
SELECT column_name, data_type, is_nullable, character_set_name, datetime_precision, numeric_scale
FROM information_schema.columns
WHERE table_schema = {schema} AND table_name = {table}
ORDER BY ordinal_position;

-- name: mysql_count
SELECT COUNT(*) FROM (SELECT 1 FROM {table} WHERE {where} LIMIT {limit}) AS counted;

-- name: mysql_digests
-- {day}: of a row. {checksum}: of its hash. One row a day: the day, its rows, and their sum.
SELECT {day}, COUNT(*), SUM({checksum}) FROM {table} WHERE {where} GROUP BY 1;

-- name: mysql_extent
-- {position}: the position of a row. {cursor}: its time. {order}: what an index has in that order.
-- {some}: where in it times are. {table}: quoted.
SELECT
  (SELECT {position} FROM {table} WHERE {some} AND {cursor} IS NOT NULL ORDER BY {order} LIMIT 1),
  (SELECT {position} FROM {table} WHERE {some} AND {cursor} IS NOT NULL ORDER BY {order} DESC LIMIT 1),
  {nulls},
  UTC_TIMESTAMP(6);

-- name: mysql_has_nulls
-- Asked of nullable columns alone: of others, MySQL takes IS NULL to mean '0000-00-00'. {none}: where in an
-- index rows without a time may be.
EXISTS (SELECT 1 FROM {table} WHERE {none} AND {cursor} IS NULL);

-- name: mysql_indexes
-- {schema}, {table}: literals.
SELECT index_name, seq_in_index, column_name
FROM information_schema.statistics
WHERE table_schema = {schema} AND table_name = {table}
ORDER BY index_name, seq_in_index;

-- name: mysql_page
-- A whole page as one value: see source/mysql_text.py.
SELECT COUNT(*), {nulls}, GROUP_CONCAT({line} SEPARATOR x'1e') FROM {table} WHERE {where};

-- name: mysql_rows
-- {cells}: each as bytes.
SELECT {position}, {cells} FROM {table} WHERE {where};

-- name: mysql_session
-- sql_mode: impossible dates may be compared with. max_error_count: warnings are counted, not sent.
SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', max_error_count = 0,
  group_concat_max_len = {length}, net_write_timeout = 600;
