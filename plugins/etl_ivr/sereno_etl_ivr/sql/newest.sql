-- $1: the source. $2: the watermark's position: what lies behind it is no part of the flow of time.
-- Returns the instant of the newest row.
SELECT {instant} FROM {target}
WHERE source = $1 AND position <= $2 AND {instant} IS NOT NULL ORDER BY position DESC LIMIT 1
