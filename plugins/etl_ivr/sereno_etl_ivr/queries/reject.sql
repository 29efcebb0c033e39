-- name: reject
-- $1: the source. $2: the table. $3: positions. $4: contents. $5: reasons. $6: raw forms. $7: run.
-- Returns how many rows are rejected for the first time.
WITH given AS (
  SELECT position, content, count(*) AS copies, min(reason) AS reason, min(raw) AS raw
  FROM unnest($3::bigint[], $4::uuid[], $5::text[], $6::text[])
    AS one (position, content, reason, raw)
  GROUP BY position, content
),
kept AS (
  INSERT INTO ivr.rejects AS known
    (source, table_name, position, content, copies, reason, raw, run_id)
  SELECT $1, $2, position, content, copies, reason, raw::jsonb, $7 FROM given
  ON CONFLICT ON CONSTRAINT rejects_once
    DO UPDATE SET copies = excluded.copies, reason = excluded.reason, seen_at = now()
  RETURNING copies, rejected_at = now() AS is_new
)
SELECT coalesce(sum(copies) FILTER (WHERE is_new), 0)::bigint FROM kept;

-- name: rejected_positions
-- $1: the source. $2: the table. Returns where its rejects are.
SELECT DISTINCT position FROM ivr.rejects WHERE source = $1 AND table_name = $2 ORDER BY position;

-- name: settle_rejects
-- Forgets the rejects of a range that a merge of the whole range did not meet again: they were
-- loaded, or are no longer at the source. $1: the source. $2: the table. $3, $4: the range.
WITH settled AS (
  DELETE FROM ivr.rejects
  WHERE source = $1 AND table_name = $2 AND position >= $3 AND position < $4 AND seen_at < now()
  RETURNING copies
)
SELECT coalesce(sum(copies), 0)::bigint FROM settled;
