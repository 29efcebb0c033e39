-- $1: the exchanges that count, all when empty. How far each is counted, and by which seconds.
SELECT source, reached, (rules::jsonb ->> 0)::float8 AS level_seconds, (rules::jsonb ->> 1)::float8 AS short_seconds
FROM ivr.aggregated
WHERE cardinality($1::text[]) = 0 OR source = ANY ($1)
ORDER BY source
