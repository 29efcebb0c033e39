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

-- name: schema_owner
SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'sereno';

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

-- name: plugin_migrations_applied
-- $1 schema. Whose it is, and each migration; where none is applied, one row without. Nothing, when it is gone.
SELECT s.plugin, m.number, m.name, m.checksum
  FROM sereno.plugin_schema s JOIN pg_namespace n ON n.nspname = s.name
  LEFT JOIN sereno.plugin_migration m ON m.schema = s.name
 WHERE s.name = $1 ORDER BY m.number;

-- name: plugin_schema_place
-- $1 schema. Whether it is listed, and whether it is there.
SELECT EXISTS (SELECT 1 FROM sereno.plugin_schema WHERE name = $1) AS listed,
       EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1) AS there;

-- name: plugin_schema_forget
-- $1 schema
DELETE FROM sereno.plugin_schema WHERE name = $1;

-- name: plugin_schema_make
-- $1 schema. The statement that makes it.
SELECT format('CREATE SCHEMA %I', $1::text);

-- name: plugin_schema_list
-- $1 schema, $2 plugin
INSERT INTO sereno.plugin_schema (name, plugin) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- name: plugin_schema_search
-- $1 schema. For this transaction: names without a schema are the plugin's, then those of extensions.
SELECT set_config('search_path', quote_ident($1) || ', public', true);

-- name: transaction_number
SELECT pg_current_xact_id()::text;

-- name: plugin_migration_record
-- $1 schema, $2 number, $3 name, $4 checksum
INSERT INTO sereno.plugin_migration (schema, number, name, checksum) VALUES ($1, $2, $3, $4);

-- name: plugin_schema_fault
-- $1 schema, $2 plugin, $3 why its migration failed
INSERT INTO sereno.plugin_schema AS s (name, plugin, fault, fault_at) VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET fault = excluded.fault, fault_at = excluded.fault_at WHERE s.plugin = excluded.plugin;

-- name: plugin_schema_faulty
-- $1 schema. Whether its migrations failed when they were tried last: looked up first, as most roles may read alone.
SELECT EXISTS (SELECT 1 FROM sereno.plugin_schema WHERE name = $1 AND fault IS NOT NULL);

-- name: plugin_schema_mended
-- $1 schema
UPDATE sereno.plugin_schema SET fault = NULL, fault_at = NULL WHERE name = $1;

-- name: plugin_schemas
-- Every schema of a plugin that is there, or whose first migration failed.
SELECT s.name, s.plugin, s.fault, s.fault_at, n.oid IS NOT NULL AS there,
       coalesce((SELECT array_agg(m.name ORDER BY m.number) FROM sereno.plugin_migration m WHERE m.schema = s.name),
                '{}') AS migrations
  FROM sereno.plugin_schema s LEFT JOIN pg_namespace n ON n.nspname = s.name
 WHERE n.oid IS NOT NULL OR s.fault IS NOT NULL ORDER BY s.name;

-- name: own_place
-- $1 schema. Whether it is there, and whether it has a list of its own; from the catalogue, as above.
SELECT EXISTS (SELECT 1 FROM pg_namespace n WHERE n.nspname = $1) AS there,
       EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
                WHERE n.nspname = $1 AND c.relname = 'sereno_migration') AS listed;

-- name: own_list_make
-- $1 schema. The statement that makes its list.
SELECT format('CREATE TABLE %I.sereno_migration (number integer PRIMARY KEY, name text NOT NULL, '
              'checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())', $1::text);

-- name: own_list_read
-- $1 schema. The statement that reads its list.
SELECT format('SELECT number, name, checksum FROM %I.sereno_migration ORDER BY number', $1::text);

-- name: own_list_add
-- $1 schema. The statement that lists a migration: its number, name and checksum.
SELECT format('INSERT INTO %I.sereno_migration (number, name, checksum) VALUES ($1, $2, $3)', $1::text);

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

-- name: nodes_older_plugin
-- $1 class, $2 a plugin's schema, $3 number of its migration. Nodes whose plugin does not know it: those that hold their presence lock, and those
-- that have not left and have a session still (one that has just joined, or is frozen). One without the plugin is none.
SELECT n.label, n.pid, n.version
  FROM sereno.node n
 WHERE (n.plugin_migrations IS NULL OR sereno.whole(n.plugin_migrations ->> $2::text) < $3::integer)
   AND (EXISTS (SELECT 1 FROM pg_locks l
                 WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = n.key::oid
                   AND l.objsubid = 2 AND l.granted
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
        OR (n.left_at IS NULL
            AND EXISTS (SELECT 1 FROM pg_stat_activity a
                         WHERE a.application_name = 'sereno ' || n.id AND a.datname = current_database())))
 ORDER BY n.started_at;

-- name: schema_users
-- $1 schema. Other sessions that hold a lock on a table of it, the longest first.
SELECT a.pid, a.usename AS role, a.application_name AS application
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid() AND EXISTS (
           SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
            WHERE l.pid = a.pid AND l.granted AND c.relnamespace = to_regnamespace(quote_ident($1))
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
 ORDER BY a.xact_start NULLS LAST;

-- name: demo_database
CREATE DATABASE demo;
