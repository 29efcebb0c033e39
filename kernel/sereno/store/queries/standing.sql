-- name: standing
-- $1 node. What is asked of it: `draining`, whom the lead is to go to, and why all rest.
SELECT coalesce((SELECT o.verb = 'drain' FROM sereno.node_order o WHERE o.node = $1 AND o.verb <> 'lead'
                  ORDER BY o.id DESC LIMIT 1), false) AS draining,
       (SELECT o.node FROM sereno.node_order o
         WHERE o.verb = 'lead' AND o.requested_at > clock_timestamp() - interval '5 s'
         ORDER BY o.id DESC LIMIT 1) AS successor,
       (SELECT m.reason FROM sereno.maintenance m
         WHERE m.ended_at IS NULL AND coalesce(m.until > clock_timestamp(), true)) AS maintenance;

-- name: node_order_make
-- $1 node, $2 verb, $3 by. Wakes every node; the trail tells of it. Returns its number.
WITH made AS (
    INSERT INTO sereno.node_order (node, verb, requested_by) VALUES ($1, $2, $3) RETURNING *
), told AS (
    INSERT INTO sereno.change (by, subject, action, reason)
    SELECT m.requested_by, 'node ' || n.label, m.verb, '' FROM made m JOIN sereno.node n ON n.id = m.node
)
SELECT id, pg_notify('sereno', 'order') FROM made;

-- name: node_order_refuse
-- $1 node. It never leads: what asks it to is gone, and nobody leaves the lead to it.
WITH refused AS (
    DELETE FROM sereno.node_order WHERE node = $1 AND verb = 'lead' RETURNING id
)
SELECT pg_notify('sereno', 'order') FROM refused LIMIT 1;

-- name: node_order_stands
-- $1 number. Whether its node has not refused it.
SELECT EXISTS (SELECT FROM sereno.node_order WHERE id = $1);

-- name: maintenance_now
-- The one that is on, or none.
SELECT m.reason, m.begun_by, m.begun_at, m.until, clock_timestamp() AS now FROM sereno.maintenance m
 WHERE m.ended_at IS NULL AND coalesce(m.until > clock_timestamp(), true);

-- name: maintenance_begin
-- $1 reason, $2 by, $3 until, null: until somebody ends it. No row where one is on. One that ran out is closed.
WITH over AS (
    UPDATE sereno.maintenance SET ended_at = until, ended_by = begun_by
     WHERE ended_at IS NULL AND until <= clock_timestamp() RETURNING id
), made AS (
    INSERT INTO sereno.maintenance (reason, begun_by, until)
    SELECT $1, $2, $3::timestamptz FROM (SELECT count(*) FROM over) AS o
     WHERE NOT EXISTS (SELECT FROM sereno.maintenance m
                        WHERE m.ended_at IS NULL AND coalesce(m.until > clock_timestamp(), true))
    RETURNING *
), told AS (
    INSERT INTO sereno.change (by, subject, action, reason, after)
    SELECT m.begun_by, 'maintenance', 'maintenance', m.reason, jsonb_build_object('until', m.until) FROM made m
)
SELECT pg_notify('sereno', 'order')::text AS told FROM made;

-- name: maintenance_end
-- $1 by. No row where none is on.
WITH ended AS (
    UPDATE sereno.maintenance SET ended_at = clock_timestamp(), ended_by = $1
     WHERE ended_at IS NULL AND coalesce(until > clock_timestamp(), true) RETURNING *
), told AS (
    INSERT INTO sereno.change (by, subject, action, reason)
    SELECT $1, 'maintenance', 'maintenance_end', '' FROM ended
)
SELECT pg_notify('sereno', 'order')::text AS told FROM ended;
