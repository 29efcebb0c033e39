-- name: at_once
-- What the target would check at the commit is checked in each statement.
SET CONSTRAINTS ALL IMMEDIATE;

-- name: durable
SET LOCAL synchronous_commit = on;

-- name: fill
-- Inserts a page whose rows all differ, where the target holds no row of the page's range and the
-- clock was not put: merge with nothing to compare. $1: the source. $2: the zone.
INSERT INTO {target} (source, position, content, ordinal, {columns})
SELECT $1, page.position, page.content, 1, {values} FROM pg_temp.page;

-- name: merge
-- Makes the target's rows of a range equal to the page, as sets; only deletes nothing.
-- $1: the source. $2, $3: the range. $4: the zone. $5..$8: its shifts (start, end, before, after).
-- {columns}, {values}: what is written. {held_key}, {page_key}: which row a changed row was.
WITH held AS MATERIALIZED (
  SELECT position, content, ordinal, {held_key} AS key
  FROM {target} WHERE source = $1 AND position >= $2 AND position < $3
),
staged AS (
  SELECT page.*, row_number() OVER (PARTITION BY position, content) AS ordinal FROM pg_temp.page
),
differing AS MATERIALIZED (
  SELECT staged.*, held.position AS old_position, held.content AS old_content,
         held.ordinal AS old_ordinal, held.key AS old_key
  FROM staged FULL JOIN held
    ON held.position = staged.position AND held.content = staged.content
   AND held.ordinal = staged.ordinal
  WHERE staged.position IS NULL OR held.position IS NULL
),
gone AS MATERIALIZED (
  SELECT old_position AS position, old_content, old_ordinal, old_key AS key,
         row_number() OVER (PARTITION BY old_position, old_key ORDER BY old_content, old_ordinal) AS n
  FROM differing WHERE old_position IS NOT NULL
),
fresh AS (
  SELECT page.position, content, ordinal, {page_key} AS key,
         row_number() OVER (PARTITION BY position, {page_key} ORDER BY content, ordinal) AS n
  FROM differing AS page WHERE position IS NOT NULL AND EXISTS (SELECT FROM gone)
),
changed AS MATERIALIZED (
  SELECT position, content, ordinal, old_content, old_ordinal
  FROM fresh JOIN gone USING (position, key, n)
),
updated AS (
  UPDATE {target} AS held
  SET (content, ordinal, loaded_at, {columns}) = ROW (new.content, new.ordinal, now(), {news})
  FROM (
    SELECT page.position, content, ordinal, changed.old_content AS was_content,
           changed.old_ordinal AS was_ordinal, {named_values}
    FROM differing AS page JOIN changed USING (position, content, ordinal)
    LEFT JOIN unnest($5::timestamp[], $6::timestamp[], $7::interval[], $8::interval[])
      AS shift ("from", "to", before, after) ON {cursor} >= shift."from" AND {cursor} < shift."to"
  ) AS new
  WHERE held.source = $1 AND held.position >= $2 AND held.position < $3
    AND held.position = new.position AND held.content = new.was_content
    AND held.ordinal = new.was_ordinal
  RETURNING 1
),
inserted AS (
  INSERT INTO {target} (source, position, content, ordinal, {columns})
  SELECT $1, page.position, page.content, page.ordinal, {values}
  FROM differing AS page LEFT JOIN changed USING (position, content, ordinal)
  LEFT JOIN unnest($5::timestamp[], $6::timestamp[], $7::interval[], $8::interval[])
    AS shift ("from", "to", before, after) ON {cursor} >= shift."from" AND {cursor} < shift."to"
  WHERE page.position IS NOT NULL AND changed.position IS NULL
  RETURNING position
)
SELECT (SELECT count(*) FROM inserted) AS inserted,
       (SELECT count(*) FROM updated) AS updated,
       (SELECT count(*) FROM gone) AS gone,
       (SELECT count(*) FROM pg_temp.page) AS staged,
       (SELECT min(position) FROM inserted) AS earliest;

-- name: move
-- $1: the source. $2: the table. $3: this run's token. $4: the position reached, NULL to stay. $5:
-- the same for people. $6: the position settled. $7: rows inserted. $8..$10: the target and the range in
-- which they were, where that is noted; else NULL. Locks the row, so that two runs merge
-- one after the other. Neither moves back. Returns nothing when another run holds the watermark.
WITH moved AS (
  UPDATE ivr.watermarks
  SET position = greatest(position, $4),
      cursor = CASE WHEN $4 > coalesce(position, $4 - 1) THEN $5 ELSE cursor END,
      settled = greatest(settled, $6),
      inserted = inserted + $7,
      noted = noted + CASE WHEN $8::text IS NULL THEN 0 ELSE $7 END,
      moved_at = now()
  WHERE source = $1 AND table_name = $2 AND holder = $3
  RETURNING position
),
noted AS (
  INSERT INTO ivr.touched (source, target, first, past, rows, changed)
  SELECT $1, $8, $9::bigint, $10::bigint, $7, false FROM moved WHERE $8 IS NOT NULL AND $7 > 0
)
SELECT position FROM moved;

-- name: remove
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
SELECT count(*) FROM kept;

-- name: tally
-- Counts what a merge did. $1: the source. $2: the table. $3..$6: rows inserted, updated, rejected for
-- the first time, deleted. $7..$9: the target and the range, where that is noted; else NULL.
WITH counted AS (
  UPDATE ivr.watermarks
  SET inserted = inserted + $3, updated = updated + $4, rejected = rejected + $5, deleted = deleted + $6,
      noted = noted + CASE WHEN $7::text IS NULL THEN 0 ELSE $3 + $4 + $6 END
  WHERE source = $1 AND table_name = $2
)
INSERT INTO ivr.touched (source, target, first, past, rows, changed)
SELECT $1, $7, $8::bigint, $9::bigint, $3 + $4 + $6, $4 + $6 > 0
WHERE $7 IS NOT NULL AND $3 + $4 + $6 > 0;
