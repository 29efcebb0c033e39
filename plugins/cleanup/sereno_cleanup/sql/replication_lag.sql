-- Seconds by which the slowest standby is behind, as far as this role may know; 0 without one.
SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8 FROM pg_stat_replication
