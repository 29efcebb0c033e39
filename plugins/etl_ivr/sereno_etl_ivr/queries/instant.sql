-- name: epoch
-- {column}: a uniqueid.
to_timestamp(substring({column} FROM '(?:^|-)([0-9]{{9,10}})\.[0-9]+$')::double precision);

-- name: instant
-- {cursor}: the local time. {epoch}: the second in uniqueid, when the call's first channel began; {begun}: the
-- same, of events too, which come later.
-- A repeated time is its first pass, unless the call began after that. {repeated}: see time_note.
CASE
  WHEN {cursor} IS NULL OR shift.before < shift.after THEN {epoch}
  WHEN shift.before IS NULL THEN {cursor} AT TIME ZONE $4
  WHEN ({cursor} - shift.before) AT TIME ZONE 'UTC' < {begun} - interval '1 minute'
    THEN ({cursor} - shift.after) AT TIME ZONE 'UTC'
  ELSE ({cursor} - shift.before) AT TIME ZONE 'UTC'
END;

-- name: no_epoch
-- Where no column tells when the channel began.
NULL::timestamptz;

-- name: plain_instant
{cursor} AT TIME ZONE $2;

-- name: time_note
-- Why the instant is not simply the local time in its zone.
CASE
  WHEN {cursor} IS NULL THEN
    CASE WHEN {epoch} IS NULL THEN 'no real time' ELSE 'no real time, uniqueid taken' END
  WHEN shift.before < shift.after THEN
    CASE WHEN {epoch} IS NULL THEN 'skipped time' ELSE 'skipped time, uniqueid taken' END
  WHEN shift.before > shift.after THEN
    CASE WHEN {begun} IS NULL THEN 'repeated time, first taken'
         ELSE 'repeated time, settled by uniqueid' END
END;

-- name: zone_offset
-- By how much the instants of the newest calls differ from the second in their uniqueid, in the
-- middle of them: near nothing where the zone is right. $1: the source. $2, $3: the range.
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY apart)
FROM (
  SELECT {instant} - {epoch} AS apart
  FROM {target}
  WHERE source = $1 AND position >= $2 AND position <= $3 AND time_note IS NULL
  ORDER BY position DESC LIMIT 500
) AS newest
WHERE apart IS NOT NULL;
