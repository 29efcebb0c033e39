-- As expired_rows, from the oldest on.
SELECT ctid, {column}::text AS place FROM {table}
 WHERE {column} < $1::text::{type} AND ({where})
 ORDER BY {column} LIMIT $2
