-- name: trail_note
-- $1 by whom, $2 action, $3 subject, $4 reason. What is older than two years goes, a little with each.
WITH old AS (
    DELETE FROM sereno_console.trail
    WHERE id IN (SELECT id FROM sereno_console.trail ORDER BY id LIMIT 100) AND at < now() - interval '730 days'
)
INSERT INTO sereno_console.trail (by, action, subject, reason) VALUES ($1, $2, $3, $4);

-- name: trail_page
-- $1 behind which id, $2 whether to older ones, $3 how many.
SELECT * FROM (
    (SELECT id, at, by, action, subject, reason FROM sereno_console.trail
     WHERE $2 AND id < $1 ORDER BY id DESC LIMIT $3)
    UNION ALL
    (SELECT id, at, by, action, subject, reason FROM sereno_console.trail
     WHERE NOT $2 AND id > $1 ORDER BY id LIMIT $3)
) AS page ORDER BY id DESC;
