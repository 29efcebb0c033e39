SELECT pg_advisory_xact_lock(hashtextextended('sereno etl_ivr schema', 0))
