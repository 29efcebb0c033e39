-- name: figures_of_days
-- $1 name, $2 params_hash, $3 first days: the newest figures of each period that was over.
SELECT DISTINCT ON (day) day, figures
FROM sereno_reports.report
WHERE name = $1 AND params_hash = $2 AND day = ANY ($3::date[]) AND NOT partial AND look ? 'declared'
ORDER BY day DESC, revision DESC;

-- name: names
-- $1: the exchanges that count, all when empty. Where two exchanges use one number, both names.
SELECT kind, id, string_agg(DISTINCT name, ' / ' ORDER BY name) AS name
FROM ivr.names
WHERE cardinality($1::text[]) = 0 OR source = ANY ($1)
GROUP BY kind, id;

-- name: sources
-- $1: the exchanges that count, all when empty. How far each is counted, and by which seconds.
SELECT source, reached, (to_jsonb(a) ->> 'figures_from')::timestamptz AS figures_from, (rules::jsonb ->> 0)::float8 AS level_seconds, (rules::jsonb ->> 1)::float8 AS short_seconds
FROM ivr.aggregated AS a
WHERE cardinality($1::text[]) = 0 OR source = ANY ($1)
ORDER BY source;

-- name: zone
-- $1: the business's zone, in which SQL of reports sees days and hours. $2: how long a statement may take.
SELECT set_config('TimeZone', $1, true), set_config('statement_timeout', $2, true),
       set_config('jit', 'off', true);
