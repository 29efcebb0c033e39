-- By how much the instants of the newest calls differ from the second in their uniqueid, in the
-- middle of them: near nothing where the zone is right. $1: the source. $2, $3: the range.
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY apart)
FROM (
  SELECT {instant} - {epoch} AS apart
  FROM {target}
  WHERE source = $1 AND position >= $2 AND position <= $3 AND time_note IS NULL
  ORDER BY position DESC LIMIT 500
) AS newest
WHERE apart IS NOT NULL
