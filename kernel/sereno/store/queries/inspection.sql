-- name: inspection
-- $1 class. What a server and a role are, as far as it may hinder replicas; `lacking`: tables that it may not write;
-- `isolation`: whose default is another than READ COMMITTED.
SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
       (SELECT nullif(d.datconnlimit, -1) FROM pg_database d WHERE d.datname = current_database()) AS database_limit,
       (SELECT nullif(r.rolconnlimit, -1) FROM pg_roles r WHERE r.rolname = current_user) AS role_limit,
       pg_is_in_recovery() AS standby, current_user AS role, clock_timestamp() AS now,
       pg_has_role(n.nspowner, 'USAGE') AS owner,
       ARRAY(SELECT c.relname::text FROM pg_class c
              WHERE c.relnamespace = n.oid AND c.relkind = 'r'
                AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
              ORDER BY 1) AS lacking,
       ARRAY(SELECT DISTINCT o.version FROM sereno.node o
              WHERE EXISTS (SELECT 1 FROM pg_locks l
                             WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = o.key::oid
                               AND l.objsubid = 2 AND l.granted
                               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
              ORDER BY 1) AS versions,
       (SELECT count(*) FROM pg_locks l
         WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid <> 0 AND l.objsubid = 2 AND l.granted
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS nodes,
       ARRAY(SELECT DISTINCT CASE s.setrole WHEN 0 THEN 'every role'
                                  ELSE 'role ''' || pg_get_userbyid(s.setrole) || '''' END || ': ' || split_part(c, '=', 2)
               FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c
              WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                AND c LIKE 'default\_transaction\_isolation=%' AND c NOT LIKE '%=read committed'
              ORDER BY 1) AS isolation,
       CASE WHEN has_sequence_privilege(pg_get_serial_sequence('sereno.run', 'id'), 'SELECT')
            THEN coalesce((SELECT max(r.id) FROM sereno.run r), 0)
                 > coalesce(pg_sequence_last_value(pg_get_serial_sequence('sereno.run', 'id')::regclass), 0)
            ELSE false END AS behind
  FROM pg_namespace n WHERE n.nspname = 'sereno';

-- name: durations_usual
-- The median of the last 20 runs of each job that went well, of those that have five.
SELECT j.name AS job, percentile_cont(0.5) WITHIN GROUP (ORDER BY r.lasted) AS lasts
  FROM sereno.job j CROSS JOIN LATERAL (
       SELECT x.finished_at - x.started_at AS lasted FROM sereno.run x
        WHERE x.job = j.name AND x.state = 'succeeded' ORDER BY x.id DESC LIMIT 20) r
 WHERE j.present GROUP BY j.name HAVING count(*) >= 5;
