-- name: answered_begin
-- $1 who, $2 key, $3 hash of the request, $4 for how long answers are kept, $5 how long one may be at work.
-- One whose first asker has been gone for long is begun again.
WITH old AS (
    DELETE FROM sereno_console.answered WHERE at < now() - $4::interval AND NOT (who = $1 AND key = $2)
)
INSERT INTO sereno_console.answered (who, key, request) VALUES ($1, $2, $3)
ON CONFLICT (who, key) DO UPDATE SET request = excluded.request, at = now(), status = NULL, headers = NULL, body = NULL
WHERE answered.at < now() - $4::interval OR (answered.status IS NULL AND answered.at < now() - $5::interval)
RETURNING true AS begun;

-- name: answered_found
-- $1 who, $2 key.
SELECT request, status, headers, body FROM sereno_console.answered WHERE who = $1 AND key = $2;

-- name: answered_end
-- $1 who, $2 key, $3 status, $4 headers, $5 body.
UPDATE sereno_console.answered SET status = $3, headers = $4, body = $5 WHERE who = $1 AND key = $2;

-- name: answered_drop
-- $1 who, $2 key: it may be asked again, as nothing came of it.
DELETE FROM sereno_console.answered WHERE who = $1 AND key = $2;
