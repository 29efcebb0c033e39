-- name: schema_lock
-- Of two machines that make the same table at the same instant, one waits.
SELECT pg_advisory_xact_lock(hashtextextended('sereno cleanup schema', 0));
