-- Forgets the rejects of a range that a merge of the whole range did not meet again: they were
-- loaded, or are no longer at the source. $1: the source. $2: the table. $3, $4: the range.
WITH settled AS (
  DELETE FROM ivr.rejects
  WHERE source = $1 AND table_name = $2 AND position >= $3 AND position < $4 AND seen_at < now()
  RETURNING copies
)
SELECT coalesce(sum(copies), 0)::bigint FROM settled
