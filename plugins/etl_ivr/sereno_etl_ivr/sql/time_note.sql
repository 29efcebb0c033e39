-- Why the instant is not simply the local time in its zone.
CASE
  WHEN {cursor} IS NULL THEN
    CASE WHEN {epoch} IS NULL THEN 'no real time' ELSE 'no real time, uniqueid taken' END
  WHEN shift.before < shift.after THEN
    CASE WHEN {epoch} IS NULL THEN 'skipped time' ELSE 'skipped time, uniqueid taken' END
  WHEN shift.before > shift.after THEN
    CASE WHEN {epoch} IS NULL THEN 'repeated time, first taken'
         ELSE 'repeated time, settled by uniqueid' END
END
