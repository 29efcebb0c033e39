-- Jobs that are overdue, each told once: the row is the mark, and it is gone when the job is on time again.

-- name: overdue_mark
-- $1 job, $2 severity. A row where this call has made the mark: who gets it tells.
INSERT INTO sereno.overdue (job, severity) VALUES ($1, $2) ON CONFLICT (job) DO NOTHING RETURNING job;

-- name: overdue_unmark
-- $1 job. A row where this call has taken the mark away.
DELETE FROM sereno.overdue WHERE job = $1 RETURNING job;

-- name: overdue_marked
SELECT job FROM sereno.overdue;

-- name: leader_held
-- $1 class, $2 the leader's number. Whether a node holds the leader's lock: a session that has a presence lock too.
SELECT EXISTS (SELECT 1 FROM pg_locks k JOIN pg_locks p ON p.pid = k.pid
                WHERE k.locktype = 'advisory' AND k.classid = $1::int::oid AND k.objid = $2::int::oid
                  AND k.objsubid = 2 AND k.granted
                  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND p.locktype = 'advisory' AND p.classid = k.classid AND p.objid <> k.objid
                  AND p.objsubid = 2 AND p.granted AND p.database = k.database) AS held;
