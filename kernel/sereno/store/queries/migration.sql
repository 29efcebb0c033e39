-- name: migration_lock
-- $1 key. Held to the end of the transaction.
SELECT pg_advisory_xact_lock($1);

-- name: migration_table
CREATE SCHEMA IF NOT EXISTS sereno;
CREATE TABLE IF NOT EXISTS sereno.migration (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- name: migrations_applied
SELECT number, name, checksum FROM sereno.migration ORDER BY number;

-- name: migration_record
-- $1 number, $2 name, $3 checksum
INSERT INTO sereno.migration (number, name, checksum) VALUES ($1, $2, $3);
