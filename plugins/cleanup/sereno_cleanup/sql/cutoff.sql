-- $1 interval: how long rows are kept. $2 text: the zone whose days and wall clock a column without one means.
-- By the database's clock, as text that any of the three types of column takes.
SELECT (clock_timestamp() - $1::interval)::text AS "timestamp with time zone",
       ((clock_timestamp() AT TIME ZONE $2) - $1::interval)::text AS "timestamp without time zone",
       ((clock_timestamp() AT TIME ZONE $2) - $1::interval)::date::text AS date
