-- $1: the source. $2: a position. Returns the highest one before it that the target holds.
SELECT position FROM {target} WHERE source = $1 AND position < $2 ORDER BY position DESC LIMIT 1
