-- $1: the source. $2: the table.
SELECT pg_advisory_unlock(hashtextextended('sereno etl_ivr ' || $1 || ' ' || $2, 0))
