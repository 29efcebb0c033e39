-- name: retention_deleted
-- $1: the source. $2: the table. $3: rows that were taken out before go. $4: at most so many. Returns how many.
WITH expired AS (
  SELECT ctid FROM ivr.deleted
  WHERE source = $1 AND table_name = $2 AND deleted_at < $3 ORDER BY deleted_at LIMIT $4
),
gone AS (DELETE FROM ivr.deleted WHERE ctid = ANY (ARRAY (SELECT ctid FROM expired)) RETURNING 1)
SELECT count(*) FROM gone;

-- name: retention_facts
-- Deletes facts of quarter hours that are frozen; the quarter hours stay. $1: the source. $2: the instant.
-- $3: at most so many calls. Returns how many.
WITH expired AS MATERIALIZED (
  SELECT call FROM ivr.call_facts WHERE source = $1 AND quarter < $2 ORDER BY quarter LIMIT $3
),
visits AS (
  DELETE FROM ivr.queue_visits AS f USING expired WHERE f.source = $1 AND f.call = expired.call
),
agents AS (
  DELETE FROM ivr.agent_calls AS f USING expired WHERE f.source = $1 AND f.call = expired.call
),
holds AS (
  DELETE FROM ivr.call_holds AS f USING expired WHERE f.source = $1 AND f.call = expired.call
),
calls AS (
  DELETE FROM ivr.call_facts AS f USING expired WHERE f.source = $1 AND f.call = expired.call RETURNING 1
)
SELECT count(*) FROM calls;

-- name: retention_forget_facts
-- What is asked of facts before $2 cannot be known any more. $1: the source.
UPDATE ivr.aggregated SET facts_from = greatest(facts_from, $2) WHERE source = $1;

-- name: retention_forget_figures
-- What is asked of quarter hours before $2 cannot be known any more. $1: the sources.
UPDATE ivr.aggregated SET figures_from = greatest(figures_from, $2) WHERE source = ANY ($1);

-- name: retention_freeze
-- Figures before $2 are made of nothing anew: their calls are kept no more. $1: the source.
INSERT INTO ivr.aggregated AS kept (source, frozen_before) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET frozen_before = greatest(kept.frozen_before, excluded.frozen_before);

-- name: retention_holds
-- Channels that tell of holds may belong to no call that cdr has. $1: the source. $2: the position.
-- $3: at most so many calls. Returns how many rows.
WITH expired AS MATERIALIZED (
  SELECT call FROM ivr.call_holds WHERE source = $1 AND last_position < $2 ORDER BY last_position LIMIT $3
),
gone AS (
  DELETE FROM ivr.call_holds AS f USING expired WHERE f.source = $1 AND f.call = expired.call RETURNING 1
)
SELECT count(*) FROM gone;

-- name: retention_is_counted
-- Whether the figures of a source are made of all rows before a position. $1: the source. $2: the position.
SELECT EXISTS (SELECT FROM ivr.aggregated WHERE source = $1 AND aggregated_at IS NOT NULL)
   AND NOT EXISTS (SELECT FROM ivr.touched WHERE source = $1 AND first < $2)
   AND NOT EXISTS (
     SELECT FROM ivr.watermarks
     WHERE source = $1 AND table_name = ANY ($3) AND inserted + updated + deleted IS DISTINCT FROM noted
   );

-- name: retention_now
SELECT now();

-- name: retention_quarters
-- $1: the source. $2: quarter hours before this instant go. $3: at most so many rows. Returns how many.
WITH expired AS (
  SELECT ctid FROM ivr.quarter_hours WHERE source = $1 AND quarter < $2 ORDER BY quarter LIMIT $3
),
gone AS (DELETE FROM ivr.quarter_hours WHERE ctid = ANY (ARRAY (SELECT ctid FROM expired)) RETURNING 1)
SELECT count(*) FROM gone;

-- name: retention_rejects
-- $1: the source. $2: the table. $3: rejects that no sync has met since go. $4: at most so many. Returns how many.
WITH expired AS (
  SELECT id FROM ivr.rejects WHERE source = $1 AND table_name = $2 AND seen_at < $3 ORDER BY id LIMIT $4
),
gone AS (DELETE FROM ivr.rejects AS r USING expired WHERE r.id = expired.id RETURNING 1)
SELECT count(*) FROM gone;

-- name: retention_rows
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
ORDER BY position DESC, content DESC, ordinal DESC LIMIT 1;
