-- name: digests
-- What the target holds of each day, rejects included: count, and a sum that no order changes.
-- $1: the source. $2: the table. $3, $4: the range.
SELECT position / 1000000 AS day, sum(n)::bigint AS rows,
       sum(n * ('x' || left(replace(content::text, '-', ''), 12))::bit(48)::bigint) AS checksum
FROM (
  SELECT position, content, 1 AS n FROM {target}
  WHERE source = $1 AND position >= $3 AND position < $4
  UNION ALL
  SELECT position, content, copies FROM ivr.rejects
  WHERE source = $1 AND table_name = $2 AND position >= $3 AND position < $4
) AS held
GROUP BY 1;

-- name: highest
-- $1: the source. $2: a position. Returns the highest one before it that the target holds.
SELECT position FROM {target} WHERE source = $1 AND position < $2 ORDER BY position DESC LIMIT 1;

-- name: hold
-- $1: the source. $2: the table. $3: this run's token. $4: the zone of positions. Returns where the
-- watermark stands.
INSERT INTO ivr.watermarks AS held (source, table_name, holder, zone) VALUES ($1, $2, $3, $4)
ON CONFLICT (source, table_name) DO UPDATE SET holder = excluded.holder, zone = excluded.zone
RETURNING held.position, held.settled;

-- name: last_sync
-- $1: the source. $2: the table. $3: rows read. $4: those of them that could not be loaded.
UPDATE ivr.watermarks SET last_read = $3, last_rejected = $4 WHERE source = $1 AND table_name = $2 AND $3 > 0;

-- name: lock
-- $1: the source. $2: the table. Held by the session, so that a killed process leaves none behind.
SELECT pg_try_advisory_lock(hashtextextended('sereno etl_ivr ' || $1 || ' ' || $2, 0));

-- name: newest
-- $1: the source. $2: the watermark's position: what lies behind it is no part of the flow of time.
-- Returns the instant of the newest row.
SELECT {instant} FROM {target}
WHERE source = $1 AND position <= $2 AND {instant} IS NOT NULL ORDER BY position DESC LIMIT 1;

-- name: settled
-- $1: the source. $2: the table.
SELECT settled FROM ivr.watermarks WHERE source = $1 AND table_name = $2;

-- name: unlock
-- $1: the source. $2: the table.
SELECT pg_advisory_unlock(hashtextextended('sereno etl_ivr ' || $1 || ' ' || $2, 0));
