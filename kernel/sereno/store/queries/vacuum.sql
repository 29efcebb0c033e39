-- name: vacuum
-- The age of the oldest transaction that holds rows back, a prepared one and a replication slot's snapshot included, and the
-- rows of ours that are dead.
SELECT greatest(
         (SELECT extract(epoch FROM clock_timestamp() - min(a.xact_start)) FROM pg_stat_activity a
           WHERE a.xact_start IS NOT NULL AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
             AND (a.backend_type IS NULL OR a.backend_type <> 'autovacuum worker')),
         (SELECT extract(epoch FROM clock_timestamp() - min(p.prepared)) FROM pg_prepared_xacts p), 0)::float8
         AS oldest_seconds,
       coalesce((SELECT sum(t.n_dead_tup) FROM pg_stat_user_tables t
                  WHERE t.schemaname = 'sereno'
                     OR t.schemaname IN (SELECT s.name FROM sereno.plugin_schema s)), 0)::bigint AS dead_rows;
