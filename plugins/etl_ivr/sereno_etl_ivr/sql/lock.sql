-- $1: the source. $2: the table. Held by the session, so that a killed process leaves none behind.
SELECT pg_try_advisory_lock(hashtextextended('sereno etl_ivr ' || $1 || ' ' || $2, 0))
