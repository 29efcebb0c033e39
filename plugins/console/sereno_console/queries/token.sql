-- name: token_add
-- $1 name, $2 hash, $3 how it begins, $4 scopes, $5 by whom, $6 for how long, null: for ever.
INSERT INTO sereno_console.token (name, hash, hint, scopes, created_by, expires_at)
VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING id;

-- name: token_used
-- $1 hash, $2 from where. Its last use is written once a minute.
WITH found AS (
    SELECT id, name, scopes, used_at FROM sereno_console.token
    WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
), used AS (
    UPDATE sereno_console.token t SET used_at = now(), used_from = $2
    FROM found WHERE t.id = found.id AND (found.used_at IS NULL OR found.used_at < now() - interval '1 minute')
)
SELECT id, name, scopes FROM found;

-- name: token_revoke
-- $1 name, $2 by whom.
UPDATE sereno_console.token SET revoked_at = now(), revoked_by = $2
WHERE name = $1 AND revoked_at IS NULL RETURNING id;

-- name: tokens
SELECT id, name, hint, scopes, created_at, created_by, expires_at, revoked_at, revoked_by, used_at, used_from
FROM sereno_console.token ORDER BY revoked_at IS NOT NULL, name, id DESC LIMIT 1000;

-- name: token_page
-- $1 older than this id, $2 how many.
SELECT id, name, hint, scopes, created_at, created_by, expires_at, revoked_at, revoked_by, used_at, used_from
FROM sereno_console.token WHERE id < $1 ORDER BY id DESC LIMIT $2;
