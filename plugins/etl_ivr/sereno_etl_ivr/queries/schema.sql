-- name: aggregates_exist
SELECT to_regclass('ivr.call_facts') IS NOT NULL AND to_regclass('ivr.aggregated') IS NOT NULL;

-- name: schema_lock
SELECT pg_advisory_xact_lock(hashtextextended('sereno etl_ivr schema', 0));

-- name: tables_begin
-- The version before holds the same lock while it makes them.
SELECT pg_advisory_lock(hashtextextended('sereno etl_ivr schema', 0));

-- name: tables_end
SELECT pg_advisory_unlock(hashtextextended('sereno etl_ivr schema', 0));

-- name: tables_listed
SELECT to_regclass('ivr.sereno_migration') IS NOT NULL;

-- name: tables_marked
-- Whether a version that listed nothing has been here.
SELECT to_regclass('ivr.schema_version') IS NOT NULL AND to_regclass('ivr.schema_steps') IS NOT NULL;

-- name: tables_stand
-- $1: the steps. Whether that version made all of them.
SELECT (SELECT max(version) FROM ivr.schema_version) IS NOT DISTINCT FROM 3
       AND NOT EXISTS (SELECT FROM unnest($1::text[]) AS wanted WHERE wanted NOT IN (SELECT name FROM ivr.schema_steps));

-- name: whole_calls
-- As in migrations/0001_pre_tables.sql.
CREATE OR REPLACE VIEW ivr.whole_calls AS
SELECT source, coalesce(nullif(linkedid, ''), uniqueid) AS call,
       min(started_at) AS started_at,
       max(started_at + greatest(duration, 0) * interval '1 second') AS ended_at,
       count(*) AS legs,
       max(billsec) FILTER (WHERE disposition = 'ANSWERED' AND dstchannel <> '') AS talk_seconds,
       coalesce(bool_or(disposition = 'ANSWERED' AND dstchannel <> ''), false) AS answered
FROM ivr.calls
GROUP BY 1, 2;
