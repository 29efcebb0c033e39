-- name: prune_history
-- $1 interval: older than. $2 int: runs to keep per job. $3 int: at most so many rows. Returns how many.
SELECT sereno.prune($1, $2, $3);

-- name: prune_history_and_trail
-- $1 interval: older than. $2 int: runs to keep per job. $3 int: at most so many rows. $4 interval: changes that are older.
-- Returns how many.
SELECT sereno.prune($1, $2, $3, $4);
