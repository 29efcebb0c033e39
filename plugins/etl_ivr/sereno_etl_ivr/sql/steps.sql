CREATE TABLE IF NOT EXISTS ivr.schema_steps (name text PRIMARY KEY, done_at timestamptz NOT NULL DEFAULT now())
