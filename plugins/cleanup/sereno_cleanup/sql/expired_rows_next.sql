-- As expired_rows_first, from $3 on: where the last look ended. {after}: >= or >.
SELECT ctid, {column}::text AS place FROM {table}
 WHERE {column} < $1::text::{type} AND {column} {after} $3::text::{type} AND ({where})
 ORDER BY {column} LIMIT $2
