-- name: archive_schema
-- Which archives a machine has, each known by the first line of its manifest.
CREATE SCHEMA IF NOT EXISTS cleanup;
CREATE TABLE IF NOT EXISTS cleanup.archive (
    host     text NOT NULL,
    path     text NOT NULL,
    identity text NOT NULL,
    since    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (host, path)
);

-- name: archive_exists
SELECT to_regclass('cleanup.archive') IS NOT NULL;

-- name: archive_known
-- $1 host.
SELECT path, identity FROM cleanup.archive WHERE host = $1;

-- name: archive_remember
-- $1 host, $2 paths, $3 identities. One that is known already stays what it was.
INSERT INTO cleanup.archive (host, path, identity)
SELECT $1, u.path, u.identity FROM unnest($2::text[], $3::text[]) AS u (path, identity)
ON CONFLICT (host, path) DO NOTHING;

-- name: archive_forget
-- $1 host, $2 path.
DELETE FROM cleanup.archive WHERE host = $1 AND path = $2;
