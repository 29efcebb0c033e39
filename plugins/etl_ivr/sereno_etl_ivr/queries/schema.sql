-- name: schema
-- The tables of the target. Applied once for each version, under a lock: see target/schema.py.
CREATE SCHEMA IF NOT EXISTS ivr;

CREATE TABLE IF NOT EXISTS ivr.calls (
  source text NOT NULL,
  uniqueid text,
  linkedid text,
  sequence bigint,
  calldate timestamp,            -- as the source has it; NULL where it is no real time: see extra
  started_at timestamptz,        -- the same instant; NULL when it cannot be known
  time_note text,                -- why started_at is not simply calldate in the source's zone
  src text,
  dst text,
  dcontext text,
  clid text,
  channel text,
  dstchannel text,
  lastapp text,
  lastdata text,
  duration integer,
  billsec integer,
  disposition text,
  amaflags text,
  accountcode text,
  peeraccount text,
  userfield text,
  did text,                      -- this and the next six: FreePBX's own
  recordingfile text,
  cnum text,
  cnam text,
  outbound_cnum text,
  outbound_cnam text,
  dst_cnam text,
  extra jsonb,                   -- the source's other columns, by name
  position bigint NOT NULL,      -- the cursor, as a number that orders impossible dates too
  content uuid NOT NULL,         -- the hash of all cells, as the source shows them
  ordinal integer NOT NULL,      -- among rows that are equal in everything
  loaded_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT calls_once UNIQUE (source, position, content, ordinal)
);
CREATE INDEX IF NOT EXISTS calls_started_at ON ivr.calls (started_at);

CREATE TABLE IF NOT EXISTS ivr.watermarks (
  source text NOT NULL,
  table_name text NOT NULL,
  position bigint,               -- every row before it that was there when it was read is loaded
  cursor text,                   -- the same for people
  settled bigint,                -- no row before it is expected any more: the next run starts here
  holder uuid,                   -- the run that may move it; another that takes it ends the first
  moved_at timestamptz,
  zone text,                     -- of position and settled
  inserted bigint NOT NULL DEFAULT 0,  -- rows by outcome, ever: committed with the rows
  updated bigint NOT NULL DEFAULT 0,
  rejected bigint NOT NULL DEFAULT 0,
  deleted bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (source, table_name)
);

-- What tables of version 2 lack.
ALTER TABLE ivr.calls
  ADD COLUMN IF NOT EXISTS did text, ADD COLUMN IF NOT EXISTS recordingfile text,
  ADD COLUMN IF NOT EXISTS cnum text, ADD COLUMN IF NOT EXISTS cnam text,
  ADD COLUMN IF NOT EXISTS outbound_cnum text, ADD COLUMN IF NOT EXISTS outbound_cnam text,
  ADD COLUMN IF NOT EXISTS dst_cnam text;
ALTER TABLE ivr.watermarks
  ADD COLUMN IF NOT EXISTS zone text,
  ADD COLUMN IF NOT EXISTS inserted bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS updated bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS rejected bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS deleted bigint NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS ivr.rejects (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  table_name text NOT NULL,
  position bigint NOT NULL,
  content uuid NOT NULL,
  copies integer NOT NULL,       -- rows equal in everything
  reason text NOT NULL,
  raw jsonb NOT NULL,            -- each cell as text, or {"hex": ...} where it is none
  run_id bigint,
  rejected_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT rejects_once UNIQUE (source, table_name, position, content)
);

CREATE TABLE IF NOT EXISTS ivr.deleted (
  source text NOT NULL,
  table_name text NOT NULL,
  position bigint NOT NULL,
  content uuid NOT NULL,
  row jsonb NOT NULL,            -- as it was in the target
  run_id bigint,
  deleted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS deleted_position ON ivr.deleted (source, table_name, position);

-- Calls, each of all its legs as they are now: a leg that comes late or changes is in it at once.
CREATE OR REPLACE VIEW ivr.whole_calls AS
SELECT source, coalesce(nullif(linkedid, ''), uniqueid) AS call,
       min(started_at) AS started_at,
       max(started_at + greatest(duration, 0) * interval '1 second') AS ended_at,
       count(*) AS legs,
       max(billsec) FILTER (WHERE disposition = 'ANSWERED' AND dstchannel <> '') AS talk_seconds,
       coalesce(bool_or(disposition = 'ANSWERED' AND dstchannel <> ''), false) AS answered
FROM ivr.calls
GROUP BY 1, 2;

CREATE TABLE IF NOT EXISTS ivr.schema_version (version integer NOT NULL);

-- name: schema_exists
SELECT to_regclass('ivr.schema_version') IS NOT NULL;

-- name: schema_lock
SELECT pg_advisory_xact_lock(hashtextextended('sereno etl_ivr schema', 0));

-- name: schema_mark
-- $1: the version.
WITH cleared AS (DELETE FROM ivr.schema_version)
INSERT INTO ivr.schema_version (version) VALUES ($1);

-- name: schema_version
SELECT max(version) FROM ivr.schema_version;

-- name: step_mark
-- $1: the step.
INSERT INTO ivr.schema_steps (name) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: steps
CREATE TABLE IF NOT EXISTS ivr.schema_steps (name text PRIMARY KEY, done_at timestamptz NOT NULL DEFAULT now());

-- name: steps_done
SELECT name FROM ivr.schema_steps;

-- name: steps_exist
SELECT to_regclass('ivr.schema_steps') IS NOT NULL;

-- name: whole_calls
-- As in schema.
CREATE OR REPLACE VIEW ivr.whole_calls AS
SELECT source, coalesce(nullif(linkedid, ''), uniqueid) AS call,
       min(started_at) AS started_at,
       max(started_at + greatest(duration, 0) * interval '1 second') AS ended_at,
       count(*) AS legs,
       max(billsec) FILTER (WHERE disposition = 'ANSWERED' AND dstchannel <> '') AS talk_seconds,
       coalesce(bool_or(disposition = 'ANSWERED' AND dstchannel <> ''), false) AS answered
FROM ivr.calls
GROUP BY 1, 2;
