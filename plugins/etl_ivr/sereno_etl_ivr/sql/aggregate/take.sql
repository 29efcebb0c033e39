-- Takes some of what was touched, the oldest note first, up to so many rows. $1: the sources. $2: rows.
-- Returns how many notes.
WITH chosen AS (
  SELECT id FROM (
    SELECT id, sum(rows) OVER (ORDER BY id) - rows AS before FROM ivr.touched WHERE source = ANY ($1)
  ) AS noted
  WHERE before < $2
),
taken AS (
  DELETE FROM ivr.touched AS noted USING chosen WHERE noted.id = chosen.id
  RETURNING noted.source, noted.target, noted.first, noted.past, noted.changed
),
kept AS (
  INSERT INTO pg_temp.touch SELECT * FROM taken RETURNING 1
)
SELECT count(*) FROM kept
