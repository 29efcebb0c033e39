-- The tables of the target. Those that earlier versions made by themselves get what they lack; where nothing is lacking
-- this is listed as applied, and not executed: see target/schema.py.

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
  duration numeric,
  billsec numeric,
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

-- Seconds of a call may have fractions. A table with rows keeps its columns until a source needs others: see
-- target/widening.py.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'ivr.calls'::regclass AND attname = 'duration'
             AND atttypid = 'integer'::regtype)
     AND NOT EXISTS (SELECT FROM ivr.calls) THEN
    DROP VIEW IF EXISTS ivr.whole_calls;
    ALTER TABLE ivr.calls ALTER duration TYPE numeric, ALTER billsec TYPE numeric;
  END IF;
END
$$;

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

-- What `etl_ivr.aggregate` keeps. Each fact is made of rows of ivr.calls and ivr.queue_events as they
-- are now; each quarter hour is made of facts.
ALTER TABLE ivr.watermarks
  ADD COLUMN IF NOT EXISTS noted bigint NOT NULL DEFAULT 0;  -- changes of rows that ivr.touched tells of

CREATE TABLE IF NOT EXISTS ivr.queue_events (
  source text NOT NULL,
  id bigint, time timestamp, callid text, queuename text, agent text, event text,
  data1 text, data2 text, data3 text, data4 text, data5 text,
  happened_at timestamptz,
  time_note text,
  extra jsonb,
  position bigint NOT NULL,
  content uuid NOT NULL,
  ordinal integer NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (source, position, content, ordinal)
);
CREATE INDEX IF NOT EXISTS queue_events_happened_at ON ivr.queue_events (happened_at);

-- Positions whose rows have changed since they were last aggregated; committed with the rows.
CREATE TABLE IF NOT EXISTS ivr.touched (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  target text NOT NULL,
  first bigint NOT NULL,
  past bigint NOT NULL,
  rows bigint NOT NULL,
  changed boolean NOT NULL       -- rows were altered or taken out, too
);

CREATE TABLE IF NOT EXISTS ivr.aggregated (
  source text PRIMARY KEY,
  rules text,                    -- by which its facts were made; others are made anew
  reached timestamptz,           -- every call that the source had up to here is counted
  aggregated_at timestamptz,
  frozen_before timestamptz      -- quarter hours whose calls are kept no more, and stay as they are
);

CREATE TABLE IF NOT EXISTS ivr.call_facts (
  source text NOT NULL,
  call text NOT NULL,
  quarter timestamptz NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  direction text NOT NULL,
  did text,
  caller text,
  queue text,
  agent text,
  outcome text NOT NULL,
  wait_seconds numeric,
  wait_at_most numeric,
  legs integer NOT NULL,
  origin text NOT NULL,
  first_position bigint,
  last_position bigint,
  PRIMARY KEY (source, call)
);
CREATE INDEX IF NOT EXISTS call_facts_quarter ON ivr.call_facts (source, quarter);
CREATE INDEX IF NOT EXISTS call_facts_position ON ivr.call_facts (source, last_position);

CREATE TABLE IF NOT EXISTS ivr.queue_visits (
  source text NOT NULL,
  call text NOT NULL,
  callid text NOT NULL,
  queue text,
  n integer NOT NULL,
  entered_at timestamptz,
  agent text,
  outcome text NOT NULL,
  wait_seconds numeric,
  wait_at_most numeric,
  talk_seconds numeric,
  connected_at timestamptz,
  transfers integer NOT NULL,
  origin text NOT NULL,
  first_position bigint,
  last_position bigint
);
CREATE INDEX IF NOT EXISTS queue_visits_call ON ivr.queue_visits (source, call);
CREATE INDEX IF NOT EXISTS queue_visits_callid ON ivr.queue_visits (source, callid);
CREATE INDEX IF NOT EXISTS queue_visits_position ON ivr.queue_visits (source, last_position);

CREATE TABLE IF NOT EXISTS ivr.agent_calls (
  source text NOT NULL,
  call text NOT NULL,
  agent text NOT NULL,
  queue text,
  conversations integer NOT NULL,
  talk_seconds numeric,
  talk_unknown integer NOT NULL,
  transfers integer,
  missed integer NOT NULL,
  origin text NOT NULL
);
CREATE INDEX IF NOT EXISTS agent_calls_call ON ivr.agent_calls (source, call);

CREATE TABLE IF NOT EXISTS ivr.quarter_hours (
  source text NOT NULL,
  quarter timestamptz NOT NULL,
  queue text,
  agent text,
  direction text NOT NULL,
  did text,
  origin text NOT NULL,
  calls integer NOT NULL,
  calls_answered integer NOT NULL,
  calls_abandoned integer NOT NULL,
  calls_short integer NOT NULL,
  calls_short_unknown integer NOT NULL,
  calls_in_level integer NOT NULL,
  calls_level_unknown integer NOT NULL,
  calls_ivr integer NOT NULL,
  calls_voicemail integer NOT NULL,
  calls_rejected integer NOT NULL,
  calls_overflowed integer NOT NULL,
  calls_unanswered integer NOT NULL,
  calls_open integer NOT NULL,
  offered integer NOT NULL,
  answered integer NOT NULL,
  abandoned integer NOT NULL,
  short_abandons integer NOT NULL,
  short_unknown integer NOT NULL,
  in_level integer NOT NULL,
  level_unknown integer NOT NULL,
  left_queue integer NOT NULL,
  refused integer NOT NULL,
  open integer NOT NULL,
  waits_unknown integer NOT NULL,
  wait_seconds numeric NOT NULL,
  answered_waits double precision[] NOT NULL,
  abandoned_waits double precision[] NOT NULL,
  handled integer NOT NULL,
  talk_seconds numeric NOT NULL,
  talk_unknown integer NOT NULL,
  transfers integer,
  holds integer,
  missed integer NOT NULL
);
CREATE INDEX IF NOT EXISTS quarter_hours_quarter ON ivr.quarter_hours (quarter, source);

-- What the last sync that read anything read, and what of it could not be loaded: from its first row.
ALTER TABLE ivr.watermarks
  ADD COLUMN IF NOT EXISTS last_read bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS last_rejected bigint NOT NULL DEFAULT 0;

-- How people call agents and queues. `origin`: settings win over a table of the source, that over the calls.
CREATE TABLE IF NOT EXISTS ivr.names (
  source text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('agent', 'queue')),
  id text NOT NULL,
  name text NOT NULL,
  origin text NOT NULL CHECK (origin IN ('settings', 'table', 'calls')),
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (source, kind, id)
);
ALTER TABLE ivr.call_facts ADD COLUMN IF NOT EXISTS caller_name text;

CREATE INDEX IF NOT EXISTS deleted_at ON ivr.deleted (deleted_at);

-- How often, and for how long, an agent put a caller on hold: of HOLD and UNHOLD in cel, or in queue_log.
CREATE TABLE IF NOT EXISTS ivr.channel_events (
  source text NOT NULL,
  id bigint, eventtime timestamp, eventtype text, cid_name text, cid_num text, cid_ani text, cid_rdnis text,
  cid_dnid text, exten text, context text, channame text, appname text, appdata text, amaflags text,
  accountcode text, uniqueid text, linkedid text, peer text, userdeftype text, extra_text text, userfield text,
  happened_at timestamptz,
  time_note text,
  extra jsonb,
  position bigint NOT NULL,
  content uuid NOT NULL,
  ordinal integer NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (source, position, content, ordinal)
);
CREATE INDEX IF NOT EXISTS channel_events_happened_at ON ivr.channel_events (happened_at);

ALTER TABLE ivr.aggregated ADD COLUMN IF NOT EXISTS tells_holds boolean NOT NULL DEFAULT false;  -- its cel ever did

CREATE TABLE IF NOT EXISTS ivr.call_holds (
  source text NOT NULL,
  call text NOT NULL,
  agent text,                    -- NULL: the call has events of channels, whoever held
  holds integer NOT NULL,
  hold_seconds numeric,
  origin text NOT NULL,
  first_position bigint,
  last_position bigint
);
CREATE INDEX IF NOT EXISTS call_holds_call ON ivr.call_holds (source, call);
CREATE INDEX IF NOT EXISTS call_holds_position ON ivr.call_holds (source, last_position);

ALTER TABLE ivr.agent_calls
  ADD COLUMN IF NOT EXISTS holds integer,        -- NULL: not known
  ADD COLUMN IF NOT EXISTS hold_seconds numeric;
ALTER TABLE ivr.quarter_hours
  ADD COLUMN IF NOT EXISTS hold_seconds numeric,
  ADD COLUMN IF NOT EXISTS holds_unknown integer;  -- NULL: made by a version that asked for none

-- Whom an outbound call was for, so that its rows may go. Facts made before, or by the version before, have none: the index
-- finds them, and `etl_ivr.aggregate` fills them in.
ALTER TABLE ivr.call_facts ADD COLUMN IF NOT EXISTS callee text;
CREATE INDEX IF NOT EXISTS call_facts_no_callee ON ivr.call_facts (source) WHERE direction = 'outbound' AND callee IS NULL;

ALTER TABLE ivr.aggregated ADD COLUMN IF NOT EXISTS joins_locals boolean NOT NULL DEFAULT false;  -- see aggregate_local_sources

-- A quarter hour of a queue as it is shown; what is not known of each of its callers is NULL.
CREATE OR REPLACE VIEW ivr.queue_quarters AS
WITH summed AS (
  SELECT source, quarter, queue, sum(offered)::int AS offered, sum(answered)::int AS answered,
    sum(abandoned)::int AS abandoned,
    CASE WHEN sum(short_unknown) = 0 THEN sum(short_abandons)::int END AS short_abandons,
    sum(left_queue)::int AS left_queue, sum(refused)::int AS refused, sum(open)::int AS open,
    CASE WHEN sum(level_unknown) + sum(short_unknown) = 0
         THEN round(sum(in_level)::numeric / nullif(sum(answered) + sum(abandoned) - sum(short_abandons), 0), 4)
    END AS service_level,
    sum(waits_unknown) = 0 AS waits_known, sum(wait_seconds) AS wait_seconds,
    sum(handled)::int AS handled,
    CASE WHEN sum(talk_unknown) = 0 THEN sum(talk_seconds) END AS talk_seconds,
    sum(transfers)::int AS transfers, sum(missed)::int AS missed,
    CASE WHEN bool_and(handled = 0 OR holds_unknown IS NOT DISTINCT FROM 0) THEN sum(holds)::int END AS holds,
    CASE WHEN bool_and(handled = 0 OR holds_unknown IS NOT DISTINCT FROM 0) THEN sum(hold_seconds) END AS hold_seconds
  FROM ivr.quarter_hours WHERE queue IS NOT NULL GROUP BY 1, 2, 3
)
SELECT source, quarter, queue, offered, answered, abandoned, short_abandons, left_queue, refused, open,
  service_level, CASE WHEN waits_known THEN wait_seconds END AS wait_seconds,
  CASE WHEN waits_known THEN waits.p50 END AS wait_p50, CASE WHEN waits_known THEN waits.p90 END AS wait_p90,
  CASE WHEN waits_known THEN waits.longest END AS wait_longest, handled, talk_seconds, transfers, holds, missed,
  hold_seconds
FROM summed CROSS JOIN LATERAL (
  SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY wait) AS p50,
         percentile_disc(0.9) WITHIN GROUP (ORDER BY wait) AS p90, max(wait) AS longest
  FROM ivr.quarter_hours AS q CROSS JOIN LATERAL unnest(q.answered_waits) AS wait
  WHERE q.source = summed.source AND q.quarter = summed.quarter AND q.queue = summed.queue
) AS waits;

-- By these the version before knows that it lacks nothing; no version after it asks for them.
CREATE TABLE IF NOT EXISTS ivr.schema_version (version integer NOT NULL);
DELETE FROM ivr.schema_version;
INSERT INTO ivr.schema_version (version) VALUES (3);
CREATE TABLE IF NOT EXISTS ivr.schema_steps (name text PRIMARY KEY, done_at timestamptz NOT NULL DEFAULT now());
INSERT INTO ivr.schema_steps (name)
SELECT unnest('{fractions,aggregates,last_sync,names,retention,holds,callee,locals}'::text[]) ON CONFLICT DO NOTHING;
