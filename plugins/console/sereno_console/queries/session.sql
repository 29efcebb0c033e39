-- name: session_begin
-- $1 hash, $2 account, $3 for how long, $4 address, $5 what the browser calls itself.
WITH seen AS (UPDATE sereno_console.account SET seen_at = now() WHERE id = $2),
     old AS (DELETE FROM sereno_console.session WHERE expires_at < now())
INSERT INTO sereno_console.session (hash, account, expires_at, address, agent)
VALUES ($1, $2, now() + $3::interval, $4, $5);

-- name: session_used
-- $1 hash, $2 for how long it lasts from now on. Its last use is written once a minute.
WITH found AS (
    SELECT s.hash, s.seen_at, a.name, a.scopes FROM sereno_console.session s
    JOIN sereno_console.account a ON a.id = s.account
    WHERE s.hash = $1 AND s.expires_at > now() AND a.disabled_at IS NULL
), used AS (
    UPDATE sereno_console.session s SET seen_at = now(), expires_at = now() + $2::interval
    FROM found WHERE s.hash = found.hash AND found.seen_at < now() - interval '1 minute'
)
SELECT name, scopes FROM found;

-- name: session_end
-- $1 hash.
DELETE FROM sereno_console.session WHERE hash = $1;

-- name: sessions_end
-- $1 name of the account, null: of all; $2 the hash of one that stays, null: none does.
DELETE FROM sereno_console.session s USING sereno_console.account a
WHERE a.id = s.account AND ($1::text IS NULL OR a.name = $1) AND ($2::bytea IS NULL OR s.hash <> $2);

-- name: session_end_numbered
-- $1 how the hash begins, in hexadecimal digits.
DELETE FROM sereno_console.session s USING sereno_console.account a
WHERE a.id = s.account AND left(encode(s.hash, 'hex'), 16) = $1 RETURNING a.name;

-- name: sessions
SELECT left(encode(s.hash, 'hex'), 16) AS number, a.name AS account, s.created_at, s.seen_at, s.expires_at, s.address, s.agent
FROM sereno_console.session s JOIN sereno_console.account a ON a.id = s.account
WHERE s.expires_at > now() ORDER BY s.seen_at DESC LIMIT 1000;

-- name: log_in_tried
-- $1 who and from where. Counted with those that are under way.
WITH old AS (DELETE FROM sereno_console.log_in_failure WHERE at < now() - interval '1 day')
INSERT INTO sereno_console.log_in_failure (about) SELECT unnest($1::text[]);

-- name: log_in_counted
-- $1 about whom, $2 since how long.
SELECT about, count(*) AS times, max(at) AS newest FROM sereno_console.log_in_failure
WHERE about = ANY ($1::text[]) AND at > now() - $2::interval GROUP BY about;

-- name: log_in_succeeded
-- $1 who. Where from stays: it may try others.
DELETE FROM sereno_console.log_in_failure WHERE about = $1;
