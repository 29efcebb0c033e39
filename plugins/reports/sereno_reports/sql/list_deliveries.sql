-- $1: at most so many, the newest first.
SELECT id, name, day, revision, channel, address, message_id, state, attempts, changed_at, error
FROM sereno_reports.delivery ORDER BY id DESC LIMIT $1
