-- name: aggregated
-- $1: the sources. Returns up to which instant the figures of all of them are made; NULL when of one not.
SELECT CASE WHEN count(reached) = cardinality($1::text[]) THEN min(reached) END
FROM ivr.aggregated WHERE source = ANY ($1);

-- name: calls_today
-- The calls that began today, by first queue and outcome, each once; none of the future. $1: the sources.
-- $2: the zone of midnight.
SELECT coalesce(queue, '') AS queue,
  sum(calls_answered) AS answered, sum(calls_abandoned - calls_short) AS abandoned,
  sum(calls_short) AS short_abandon, sum(calls_ivr) AS ivr, sum(calls_voicemail) AS voicemail,
  sum(calls_rejected) AS rejected, sum(calls_overflowed) AS overflowed,
  sum(calls_unanswered) AS unanswered, sum(calls_open) AS open
FROM ivr.quarter_hours
WHERE source = ANY ($1) AND quarter < now()
  AND quarter >= date_trunc('day', now() AT TIME ZONE $2) AT TIME ZONE $2 AND direction = 'inbound'
GROUP BY 1 ORDER BY sum(calls) DESC, 1;

-- name: figures
-- What the metrics show of each table that is moved.
SELECT source, table_name, position, zone, inserted, updated, rejected, deleted, last_read, last_rejected,
       now() AS now,
       (SELECT coalesce(sum(copies), 0)::bigint FROM ivr.rejects AS r
        WHERE r.source = w.source AND r.table_name = w.table_name) AS waiting
FROM ivr.watermarks AS w;

-- name: has_figures
-- Whether this version has made its tables here.
SELECT EXISTS (
  SELECT FROM pg_attribute WHERE attrelid = to_regclass('ivr.watermarks') AND attname = 'last_read'
);
