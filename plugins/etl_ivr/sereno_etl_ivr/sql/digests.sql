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
GROUP BY 1
