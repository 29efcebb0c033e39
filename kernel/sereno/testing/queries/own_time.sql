-- name: own_clock
-- Several statements. Every session of Sereno finds functions in Postgres's own schema alone, so one that stands there in
-- place of its own owns the time, in the kernel's functions and in the defaults of its tables too.
CREATE SCHEMA owned;
CREATE TABLE owned.time (at timestamptz NOT NULL);
INSERT INTO owned.time VALUES ('2000-01-01T00:00:00Z');
GRANT USAGE ON SCHEMA owned TO PUBLIC;
GRANT SELECT ON owned.time TO PUBLIC;
SET allow_system_table_mods = on;
ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO true_clock_timestamp;
CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT at FROM owned.time';

-- name: is_owned
SELECT to_regclass('owned.time') IS NOT NULL;

-- name: set_time
-- $1 instant
UPDATE owned.time SET at = $1;

-- name: next_instant
-- The first instant after now at which a leader has something to do: a slot, a run that waits for its time, one that is
-- too late by then. Null: never.
SELECT least(
    (SELECT min(wake_at) FROM sereno.watermark WHERE wake_at > n.now),
    (SELECT min(run_at) FROM sereno.run WHERE state = 'queued' AND run_at > n.now),
    (SELECT min(start_by) FROM sereno.run WHERE state = 'queued' AND start_by > n.now))
  FROM (SELECT clock_timestamp() AS now) n;

-- name: template_create
-- {name}: of the database
CREATE DATABASE {name} TEMPLATE template0;

-- name: database_create
-- {name}, {template}: of databases; {strategy}: how it is copied
CREATE DATABASE {name} TEMPLATE {template} {strategy};

-- name: sessions_end
-- $1 database. FORCE alone sleeps for 100 ms wherever a backend takes a moment to leave.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1;

-- name: database_drop
-- {name}: of the database
DROP DATABASE IF EXISTS {name} WITH (FORCE);
