-- name: widening_batch
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
INSERT INTO ivr.widening SELECT * FROM last RETURNING source, position, content, ordinal;

-- name: widening_begin
-- Adds wide columns that whoever writes a row fills too, whatever version it is.
ALTER TABLE ivr.calls ADD COLUMN IF NOT EXISTS duration_wide numeric, ADD COLUMN IF NOT EXISTS billsec_wide numeric;
CREATE OR REPLACE FUNCTION ivr.widen_call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.duration_wide := NEW.duration;
  NEW.billsec_wide := NEW.billsec;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER widen_call BEFORE INSERT OR UPDATE ON ivr.calls
  FOR EACH ROW EXECUTE FUNCTION ivr.widen_call();
CREATE TABLE IF NOT EXISTS ivr.widening (source text, position bigint, content uuid, ordinal integer);

-- name: widening_end
-- Puts the wide columns in the place of the narrow ones.
LOCK TABLE ivr.calls IN ACCESS EXCLUSIVE MODE;
DROP VIEW ivr.whole_calls;
DROP TRIGGER widen_call ON ivr.calls;
DROP FUNCTION ivr.widen_call();
ALTER TABLE ivr.calls DROP COLUMN duration, DROP COLUMN billsec;
ALTER TABLE ivr.calls RENAME COLUMN duration_wide TO duration;
ALTER TABLE ivr.calls RENAME COLUMN billsec_wide TO billsec;
DROP TABLE ivr.widening;
{whole_calls};

-- name: widening_state
-- How far the rows of ivr.calls were gone through, by their key.
SELECT source, position, content, ordinal FROM ivr.widening;
