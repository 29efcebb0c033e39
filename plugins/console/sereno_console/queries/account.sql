-- name: account_add
-- $1 name, $2 password's hash, $3 scopes, $4 by whom; no row where the name is taken.
INSERT INTO sereno_console.account (name, password, scopes, created_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO NOTHING RETURNING id;

-- name: account_change
-- $1 name; what is null stays: $2 password's hash, $3 scopes, $4 whether it is disabled.
UPDATE sereno_console.account
SET password = coalesce($2, password),
    scopes = coalesce($3, scopes),
    disabled_at = CASE WHEN $4::bool IS NULL THEN disabled_at
                       WHEN $4 THEN coalesce(disabled_at, now()) END
WHERE name = $1
RETURNING id;

-- name: account_remove
-- $1 name.
DELETE FROM sereno_console.account WHERE name = $1 RETURNING id;

-- name: account_of
-- $1 name.
SELECT id, name, password, scopes FROM sereno_console.account WHERE name = $1 AND disabled_at IS NULL;

-- name: account_rehashed
-- $1 id, $2 the hash that was read, $3 the same password's new one.
UPDATE sereno_console.account SET password = $3 WHERE id = $1 AND password = $2;

-- name: accounts
-- $1 behind this name, $2 how many, null: all.
SELECT name, scopes, created_at, created_by, disabled_at, seen_at FROM sereno_console.account
WHERE name > $1 ORDER BY name LIMIT $2;

-- name: anybody
-- Whether there is anybody who could come in: by a password, by a token.
SELECT EXISTS (SELECT FROM sereno_console.account WHERE disabled_at IS NULL) AS accounts,
       EXISTS (SELECT FROM sereno_console.token
               WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())) AS tokens;
