-- $1 tid[]: rows as a look found them. $2 text: the cutoff. A row that somebody is changing is locked: it is skipped, and
-- judged again by the next run; one that was changed since the look stands elsewhere. {returning}: what is kept of each.
WITH batch AS (
  SELECT ctid FROM {table}
   WHERE ctid = ANY($1::tid[]) AND {column} < $2::text::{type} AND ({where})
     FOR UPDATE SKIP LOCKED
)
DELETE FROM {table} AS expired USING batch WHERE expired.ctid = batch.ctid
RETURNING {returning}
