-- Takes out of a range what the merged page lacks, and keeps it in ivr.deleted.
-- $1: the source. $2, $3: the range. $4: the table. $5: the run. Returns how many rows.
WITH staged AS MATERIALIZED (
  SELECT position, content, row_number() OVER (PARTITION BY position, content) AS ordinal
  FROM pg_temp.page
),
gone AS (
  DELETE FROM {target} AS held
  WHERE source = $1 AND position >= $2 AND position < $3 AND NOT EXISTS (
    SELECT FROM staged WHERE staged.position = held.position AND staged.content = held.content
      AND staged.ordinal = held.ordinal
  )
  RETURNING held.position, held.content, to_jsonb(held) AS row
),
kept AS (
  INSERT INTO ivr.deleted (source, table_name, position, content, row, run_id)
  SELECT $1, $4, position, content, row, $5 FROM gone RETURNING 1
)
SELECT count(*) FROM kept
