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
       (SELECT min(position) FROM inserted) AS earliest
