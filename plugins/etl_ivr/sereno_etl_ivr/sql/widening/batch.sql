-- Fills the wide columns of the next rows, and notes how far it got. $1..$4: the key of the last row done; NULL
-- at first. $5: rows. Returns the key of the last; nothing when there was none.
WITH next_rows AS MATERIALIZED (
  SELECT source, position, content, ordinal FROM ivr.calls
  WHERE (source, position, content, ordinal) > ($1, $2, $3, $4)
  ORDER BY source, position, content, ordinal LIMIT $5
),
filled AS (
  UPDATE ivr.calls AS c SET duration_wide = c.duration, billsec_wide = c.billsec FROM next_rows
  WHERE c.source = next_rows.source AND c.position = next_rows.position AND c.content = next_rows.content
    AND c.ordinal = next_rows.ordinal
),
last AS (
  SELECT * FROM next_rows ORDER BY source DESC, position DESC, content DESC, ordinal DESC LIMIT 1
),
cleared AS (DELETE FROM ivr.widening WHERE EXISTS (SELECT FROM last))
INSERT INTO ivr.widening SELECT * FROM last RETURNING source, position, content, ordinal
