-- Reports of earlier versions, which told choices of text apart too, become revisions of one report of
-- the day, in the order in which they were made. $1: zones. $2: the params_hash of each.
UPDATE sereno_reports.report AS kept
SET params_hash = placed.params_hash, revision = placed.revision, look = '{}'
FROM (
  SELECT old.id, chosen.params_hash,
    row_number() OVER (PARTITION BY old.name, old.day, old.zone ORDER BY old.created_at, old.id) + coalesce((
      SELECT max(revision) FROM sereno_reports.report AS other
      WHERE other.name = old.name AND other.day = old.day AND other.params_hash = chosen.params_hash
    ), 0) AS revision
  FROM sereno_reports.report AS old
  JOIN unnest($1::text[], $2::text[]) AS chosen (zone, params_hash) USING (zone)
  WHERE old.look IS NULL
) AS placed
WHERE kept.id = placed.id
