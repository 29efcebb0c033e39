-- name: presence_lock
-- $1 class, $2 the node's number. Ends an older session of the same node, which bears our name, that still holds it;
-- false then, and also when it has let go in this very moment.
SELECT CASE WHEN pg_try_advisory_lock($1::int, $2::int) THEN true
            ELSE (SELECT count(pg_terminate_backend(l.pid)) < 0 FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                   WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = $2::int::oid
                     AND l.objsubid = 2 AND l.granted AND l.pid <> pg_backend_pid()
                     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                     AND a.application_name = current_setting('application_name'))
       END AS granted;

-- name: leader_try
-- $1 class, $2 the leader's number
SELECT pg_try_advisory_lock($1::int, $2::int) AS granted, clock_timestamp() AS now;

-- name: watch
SELECT clock_timestamp() AS now;

-- name: term_begin
-- $1 node, $2 our backend, $3 class, $4 the leader's number. No row when this backend lacks the lock.
WITH held AS (
    SELECT 1 FROM pg_locks l
     WHERE l.locktype = 'advisory' AND l.classid = $3::int::oid AND l.objid = $4::int::oid AND l.objsubid = 2
       AND l.granted AND l.pid = pg_backend_pid() AND l.pid = $2
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
), begun AS (
    UPDATE sereno.leadership SET term = term + 1, node = $1, acquired_at = clock_timestamp(),
           beat_at = clock_timestamp()
      FROM held RETURNING term
), ended AS (
    UPDATE sereno.term t SET ended_at = clock_timestamp(), reason = coalesce(t.reason, 'lost')
      FROM begun WHERE t.ended_at IS NULL AND t.term < begun.term
)
INSERT INTO sereno.term (term, node) SELECT term, $1 FROM begun RETURNING term;

-- name: leadership_mend
-- $1 our backend, $2 class, $3 the leader's number. Puts the one row back that somebody has deleted, with the newest term
-- that is known; no row when it is there, or this backend lacks the lock.
INSERT INTO sereno.leadership (term)
SELECT coalesce((SELECT max(t.term) FROM sereno.term t), 0) FROM pg_locks l
 WHERE l.locktype = 'advisory' AND l.classid = $2::int::oid AND l.objid = $3::int::oid AND l.objsubid = 2
   AND l.granted AND l.pid = pg_backend_pid() AND l.pid = $1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ON CONFLICT DO NOTHING RETURNING term;

-- name: leader_unaware
-- $1 node, $2 class, $3 lease in seconds. Whether the last leader, another node, may trust itself still: its term has
-- not been ended, its last heartbeat is younger than the lease, and it lacks its presence lock but no connections. Were
-- we ourselves not connected when it last beat, as after a restart of the server, then its having none proves nothing.
SELECT EXISTS (
    SELECT 1 FROM sereno.leadership l JOIN sereno.term t ON t.term = l.term JOIN sereno.node n ON n.id = l.node
     WHERE l.node <> $1 AND t.ended_at IS NULL AND l.beat_at > clock_timestamp() - make_interval(secs => $3)
       AND EXISTS (SELECT 1 FROM pg_stat_activity a
                    WHERE a.application_name = 'sereno ' || n.id
                       OR (a.pid = pg_backend_pid() AND a.backend_start > l.beat_at))
       AND NOT EXISTS (SELECT 1 FROM pg_locks k
                        WHERE k.locktype = 'advisory' AND k.classid = $2::int::oid AND k.objid = n.key::oid
                          AND k.objsubid = 2 AND k.granted
                          AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
) AS unaware;

-- name: fence_holders
-- $1 our backend. The backends in whose way the new term waits: frozen or cut off writers, or somebody else.
SELECT b.pid, a.usename AS role, a.application_name AS application
  FROM unnest(pg_blocking_pids($1)) AS b (pid) LEFT JOIN pg_stat_activity a ON a.pid = b.pid;

-- name: backend_end
-- $1 pid
SELECT pg_terminate_backend($1);

-- name: leader_beat
-- $1 term, $2 node, $3 our backend, $4 class, $5 the leader's number. No row when the lead is lost. Where another session
-- keeps the row locked, the beat is not noted: no term begins without that row, nor while this session has its lock.
WITH held AS MATERIALIZED (
    SELECT 1 FROM pg_locks l
     WHERE l.locktype = 'advisory' AND l.classid = $4::int::oid AND l.objid = $5::int::oid
       AND l.objsubid = 2 AND l.granted AND l.pid = pg_backend_pid() AND l.pid = $3
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
), free AS MATERIALIZED (
    SELECT term FROM sereno.leadership WHERE term = $1 AND node = $2 FOR NO KEY UPDATE SKIP LOCKED
), beaten AS (
    UPDATE sereno.leadership l SET beat_at = clock_timestamp() FROM free, held WHERE l.term = free.term
)
SELECT clock_timestamp() AS now FROM held, sereno.leadership l WHERE l.term = $1 AND l.node = $2;

-- name: leader_holds
-- $1 our backend, $2 class, $3 the leader's number. The same of a table that is locked: no row when the lock is lost.
SELECT clock_timestamp() AS now FROM pg_locks l
 WHERE l.locktype = 'advisory' AND l.classid = $2::int::oid AND l.objid = $3::int::oid
   AND l.objsubid = 2 AND l.granted AND l.pid = pg_backend_pid() AND l.pid = $1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- name: leader_hand_over
-- $1 term, $2 reason, $3 class, $4 the leader's number, $5 channel
WITH ended AS (
    UPDATE sereno.term SET ended_at = clock_timestamp(), reason = $2 WHERE term = $1 RETURNING term
)
SELECT pg_advisory_unlock($3::int, $4::int), pg_notify($5, 'handover') FROM (SELECT count(*) FROM ended) e;

-- name: node_join
-- $1 id, $2 label, $3 pid, $4 version, $5 http address, $6 the newest migration that its code knows, $7 those of plugins
-- by schema, $8 its cluster, $9 the key that it had, null: none. Returns its key; no row when it is another node's, as
-- after commits were lost, or a sequence was.
WITH again AS (
    UPDATE sereno.node SET seen_at = clock_timestamp(), left_at = NULL WHERE id = $1 RETURNING key
), fresh AS (
    INSERT INTO sereno.node (id, label, pid, version, http, migration, plugin_migrations, cluster, key) OVERRIDING SYSTEM VALUE
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, coalesce($9::integer, nextval('sereno.node_key_seq'))
     WHERE NOT EXISTS (SELECT 1 FROM again)
    ON CONFLICT DO NOTHING RETURNING key
)
SELECT key FROM again UNION ALL SELECT key FROM fresh;

-- name: node_seen
-- $1 id, $2 label, $3 pid, $4 version, $5 http address, $6 the newest migration that its code knows, $7 those of plugins
-- by schema, $8 its cluster, $9 key, $10 seconds by which its clock is ahead. One that slept for so long that its row was pruned
-- has the same again.
INSERT INTO sereno.node (id, label, pid, version, http, migration, plugin_migrations, cluster, key, clock_offset)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), clock_offset = $10;

-- name: node_leave
-- $1 id
UPDATE sereno.node SET left_at = clock_timestamp(), seen_at = clock_timestamp() WHERE id = $1;

-- name: node_offer
-- $1 id, $2 places by executor, $3 labels, $4 a digest of each job that it declares, $5 its host, $6 the host's name. What a
-- node can be handed; the leader reads it at once.
UPDATE sereno.node SET places = $2, labels = $3, declared = $4, host = $5, host_name = $6 WHERE id = $1
RETURNING pg_notify('sereno', 'nodes')::text;

-- name: node_withdraw
-- $1 id, $2 our name of a node's channel. It is to be handed nothing more, and what it was and has not begun is given back;
-- the leader is told.
WITH none AS (
    UPDATE sereno.node SET places = NULL WHERE id = $1 AND places IS NOT NULL RETURNING id
), back AS (
    UPDATE sereno.run SET node = NULL WHERE node = $1 AND state = 'queued' RETURNING id
)
SELECT count(pg_notify($2::text || l.node, 'left ' || none.id)) FROM sereno.leadership l, none, (SELECT count(*) FROM back) AS b
 WHERE l.node IS NOT NULL;

-- name: nodes_offering
-- $1 class, $2 the leader, $3 nodes whose declarations it has read. The other nodes that are there and offer places, but those
-- that people have drained.
SELECT n.id, n.label, n.places, n.labels, n.host, n.host_name,
       CASE WHEN n.id <> ALL($3::uuid[]) THEN n.declared END AS declared
  FROM sereno.node n
 WHERE n.id <> $2 AND n.places IS NOT NULL AND n.left_at IS NULL AND n.seen_at > clock_timestamp() - interval '1 minute'
   AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = n.key::oid
                  AND l.objsubid = 2 AND l.granted
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND NOT coalesce((SELECT o.verb = 'drain' FROM sereno.node_order o WHERE o.node = n.id AND o.verb <> 'lead'
                      ORDER BY o.id DESC LIMIT 1), false)
 ORDER BY n.started_at, n.id;

-- name: nodes_present
-- $1 class. Nodes that were seen within the last day; `present`: their presence lock is held, by a session of their name
-- or while they have been seen within a minute.
SELECT n.id, n.label, n.pid, n.version, n.http, n.started_at, n.seen_at, n.left_at, n.places, n.labels,
       n.host, n.host_name, n.clock_offset,
       EXISTS (SELECT 1 FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = n.key::oid
                  AND l.objsubid = 2 AND l.granted
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND (a.application_name = 'sereno ' || n.id
                       OR n.seen_at > clock_timestamp() - interval '1 minute')) AS present,
       (SELECT count(*) FROM sereno.run r WHERE r.node = n.id AND r.state = 'running') AS running,
       coalesce((SELECT o.verb = 'drain' FROM sereno.node_order o WHERE o.node = n.id AND o.verb <> 'lead'
                  ORDER BY o.id DESC LIMIT 1), false) AS draining,
       (SELECT count(*) FROM sereno.run r WHERE r.node = n.id AND r.state = 'queued') AS handed
  FROM sereno.node n WHERE n.seen_at > clock_timestamp() - interval '1 day'
 ORDER BY n.started_at;

-- name: leader_now
-- $1 class, $2 the leader's number. The newest term; `held`: a session that holds a presence lock, as a node's does,
-- holds the leader's lock now.
SELECT l.term, l.node, n.label, l.acquired_at, l.beat_at, clock_timestamp() AS now,
       EXISTS (SELECT 1 FROM pg_locks k JOIN pg_locks p ON p.pid = k.pid
                WHERE k.locktype = 'advisory' AND k.classid = $1::int::oid AND k.objid = $2::int::oid
                  AND k.objsubid = 2 AND k.granted
                  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND p.locktype = 'advisory' AND p.classid = k.classid AND p.objid <> k.objid
                  AND p.objsubid = 2 AND p.granted AND p.database = k.database) AS held
  FROM sereno.leadership l LEFT JOIN sereno.node n ON n.id = l.node;

-- name: lock_holder
-- $1 class, $2 number. The session that holds this lock; `node`: it holds another of the class, as a node's does.
SELECT k.pid, a.usename AS role, a.application_name AS application,
       EXISTS (SELECT 1 FROM pg_locks p
                WHERE p.pid = k.pid AND p.locktype = 'advisory' AND p.classid = k.classid AND p.objid <> k.objid
                  AND p.objsubid = 2 AND p.granted AND p.database = k.database) AS node
  FROM pg_locks k LEFT JOIN pg_stat_activity a ON a.pid = k.pid
 WHERE k.locktype = 'advisory' AND k.classid = $1::int::oid AND k.objid = $2::int::oid AND k.objsubid = 2 AND k.granted
   AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 LIMIT 1;

-- name: led_lately
-- $1 how the version of a demonstration's node ends. The node that has last led within a day and is none.
SELECT n.label, coalesce(t.ended_at, l.beat_at, clock_timestamp()) AS led_at
  FROM sereno.term t JOIN sereno.node n ON n.id = t.node LEFT JOIN sereno.leadership l ON l.term = t.term
 WHERE coalesce(t.ended_at, l.beat_at, clock_timestamp()) > clock_timestamp() - interval '1 day'
   AND right(n.version, length($1)) <> $1
 ORDER BY t.term DESC LIMIT 1;
