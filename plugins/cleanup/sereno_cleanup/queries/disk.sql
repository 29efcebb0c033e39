-- name: disk_schema
-- How much was free on disks, by machine. `unit`: bytes, or files (inodes).
CREATE SCHEMA IF NOT EXISTS cleanup;
CREATE TABLE IF NOT EXISTS cleanup.disk (
    host text NOT NULL,
    path text NOT NULL,
    unit text NOT NULL,
    at   timestamptz NOT NULL,
    free bigint NOT NULL,
    size bigint NOT NULL,
    PRIMARY KEY (host, path, unit, at)
);

-- name: disk_exists
SELECT to_regclass('cleanup.disk') IS NOT NULL;

-- name: disk_add
-- $1 host, $2 instant, $3 paths, $4 units, $5 free, $6 sizes.
INSERT INTO cleanup.disk (host, at, path, unit, free, size)
SELECT $1, $2, u.path, u.unit, u.free, u.size
  FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[]) AS u (path, unit, free, size)
ON CONFLICT (host, path, unit, at) DO NOTHING;

-- name: disk_read
-- $1 host, $2 path, $3 unit, $4 size, $5 from, $6 to: seconds since $5, and what was free. A disk of another size is another one.
SELECT extract(epoch FROM at - $5::timestamptz)::float8 AS second, free FROM cleanup.disk
 WHERE host = $1 AND path = $2 AND unit = $3 AND size = $4 AND at BETWEEN $5 AND $6 ORDER BY at;

-- name: disk_forget
-- $1 instant: what was measured before it, by any machine, and what has a time that is not yet.
DELETE FROM cleanup.disk WHERE at < $1::timestamptz OR at > clock_timestamp() + interval '1 day';
