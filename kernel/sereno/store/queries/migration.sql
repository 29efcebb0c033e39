-- name: migration_lock
-- $1 key. Held to the end of the transaction.
SELECT pg_advisory_xact_lock($1);

-- name: migration_lock_holders
-- $1 key. The sessions that hold the migrators' lock.
SELECT l.pid, a.usename AS role, a.application_name AS application
  FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.classid = ($1::bigint >> 32)::oid AND l.objid = ($1::bigint & 4294967295)::oid
   AND l.objsubid = 1 AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- name: migration_limits
-- $1 ms to wait for a lock. For this transaction: how long it waits, and that it ends with its client: one that is gone
-- in mid-statement, or frozen between two.
SELECT set_config('lock_timeout', $1, true),
       set_config('client_connection_check_interval', '1000', true),
       set_config('idle_in_transaction_session_timeout', '60000', true);

-- name: migration_place
-- Which of the schema and of its list of migrations are there. From the tables of the catalogue: what to_regclass finds
-- may be a cache from before another's commit, for which this transaction has waited.
SELECT EXISTS (SELECT 1 FROM pg_namespace n WHERE n.nspname = 'sereno') AS schema,
       EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
                WHERE n.nspname = 'sereno' AND c.relname = 'migration') AS listed;

-- name: migration_schema
CREATE SCHEMA sereno;

-- name: migration_table
CREATE TABLE sereno.migration (
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

-- name: nodes_closed
-- Until the end of the transaction no node joins.
LOCK TABLE sereno.node IN SHARE ROW EXCLUSIVE MODE;

-- name: nodes_older
-- $1 class, $2 number of a migration. Nodes whose code does not know it: those that hold their presence lock, and those
-- that have not left and have a session still (one that has just joined, or is frozen).
SELECT n.label, n.pid, n.version
  FROM sereno.node n
 WHERE coalesce(n.migration, 0) < $2
   AND (EXISTS (SELECT 1 FROM pg_locks l
                 WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = n.key::oid
                   AND l.objsubid = 2 AND l.granted
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
        OR (n.left_at IS NULL
            AND EXISTS (SELECT 1 FROM pg_stat_activity a
                         WHERE a.application_name = 'sereno ' || n.id AND a.datname = current_database())))
 ORDER BY n.started_at;

-- name: schema_users
-- Other sessions that hold a lock on a table of ours, the longest first.
SELECT a.pid, a.usename AS role, a.application_name AS application
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid() AND EXISTS (
           SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
            WHERE l.pid = a.pid AND l.granted AND c.relnamespace = to_regnamespace('sereno')
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
 ORDER BY a.xact_start NULLS LAST;

-- name: demo_database
CREATE DATABASE demo;
