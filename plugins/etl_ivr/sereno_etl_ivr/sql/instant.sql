-- {cursor}: the local time. {epoch}: the second in uniqueid, when the call's first channel began.
-- A repeated time is its first pass, unless the call began after that. {repeated}: see time_note.sql.
CASE
  WHEN {cursor} IS NULL OR shift.before < shift.after THEN {epoch}
  WHEN shift.before IS NULL THEN {cursor} AT TIME ZONE $4
  WHEN ({cursor} - shift.before) AT TIME ZONE 'UTC' < {epoch} - interval '1 minute'
    THEN ({cursor} - shift.after) AT TIME ZONE 'UTC'
  ELSE ({cursor} - shift.before) AT TIME ZONE 'UTC'
END
