-- $1 timestamptz: the cutoff. $2 int: at most so many rows. {table}: the quoted name of the table.
-- A session that somebody is renewing is locked: it is skipped, and judged again by the next run.
WITH batch AS (
  SELECT session_key FROM {table}
  WHERE expire_date < $1
  ORDER BY expire_date
  LIMIT $2
  FOR UPDATE SKIP LOCKED
)
DELETE FROM {table} AS expired USING batch WHERE expired.session_key = batch.session_key
