-- $1: the sources, as one text.
SELECT pg_try_advisory_lock(hashtextextended('sereno etl_ivr aggregate ' || $1, 0))
