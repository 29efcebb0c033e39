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
SELECT coalesce(sum(copies) FILTER (WHERE is_new), 0)::bigint FROM kept
