-- Whether the calls up to $2 (the end of a day that began at $1) are loaded, as far as the table can
-- tell: a later call is there, or one of the day was loaded after its end.
SELECT EXISTS (SELECT FROM {calls} WHERE started_at >= $2::timestamptz)
  OR EXISTS (
    SELECT FROM {calls}
    WHERE started_at >= $1::timestamptz AND started_at < $2 AND loaded_at >= $2
  )
