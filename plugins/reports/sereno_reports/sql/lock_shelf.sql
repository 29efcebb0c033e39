-- $1: what is being written; two runs that write the same wait for one another.
SELECT pg_advisory_xact_lock(hashtextextended('sereno_reports ' || $1, 0))
