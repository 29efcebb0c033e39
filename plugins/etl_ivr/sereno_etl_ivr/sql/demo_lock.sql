-- One exchange at a time writes, however many demonstrations run.
SELECT pg_try_advisory_lock(hashtextextended('sereno etl_ivr demo', 0))
