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
ALTER TABLE ivr.call_facts ADD COLUMN IF NOT EXISTS caller_name text
