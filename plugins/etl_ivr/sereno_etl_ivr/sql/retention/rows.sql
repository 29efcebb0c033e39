-- Deletes the oldest rows of a source's table, by its key, from the last that was deleted on: an open snapshot
-- elsewhere keeps the dead ones in the index, and nobody goes through them again. $1: the source.
-- $2..$4: the key of the last row, but for its source. $5: rows before this position go. $6: at most so many.
WITH expired AS MATERIALIZED (
  SELECT position, content, ordinal FROM {target}
  WHERE source = $1 AND (position, content, ordinal) > ($2, $3, $4) AND position < $5
  ORDER BY source, position, content, ordinal LIMIT $6
),
gone AS (
  DELETE FROM {target} AS held USING expired
  WHERE held.source = $1 AND held.position = expired.position AND held.content = expired.content
    AND held.ordinal = expired.ordinal
)
SELECT position, content, ordinal, count(*) OVER () AS rows FROM expired
ORDER BY position DESC, content DESC, ordinal DESC LIMIT 1
