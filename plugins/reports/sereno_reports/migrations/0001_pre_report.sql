-- Reports and their deliveries. Tables that earlier versions have made by themselves are taken over, and the version of
-- before goes on with these.
CREATE TABLE IF NOT EXISTS sereno_reports.report (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  day date NOT NULL,
  zone text NOT NULL,
  params_hash text NOT NULL,
  revision int NOT NULL CHECK (revision > 0),
  partial boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  html text NOT NULL,
  csv text NOT NULL,
  figures jsonb NOT NULL,
  UNIQUE (name, day, params_hash, revision)
);
CREATE INDEX IF NOT EXISTS report_day ON sereno_reports.report (day, name);
-- What tables of earlier versions lack. `look`: the declaration, names and texts that html and csv were
-- written with; NULL: by an earlier version, whose figures have another form.
ALTER TABLE sereno_reports.report
  ADD COLUMN IF NOT EXISTS look jsonb,
  ADD COLUMN IF NOT EXISTS recipient text NOT NULL DEFAULT '';
CREATE TABLE IF NOT EXISTS sereno_reports.delivery (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  day date NOT NULL,
  params_hash text NOT NULL,
  revision int NOT NULL,
  channel text NOT NULL CHECK (channel IN ('folder', 'mail')),
  address text NOT NULL,
  message_id text NOT NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unknown')),
  attempts int NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  error text,
  UNIQUE (name, day, params_hash, revision, channel, address)
);
CREATE INDEX IF NOT EXISTS delivery_waiting ON sereno_reports.delivery (next_at) WHERE state IN ('waiting', 'sending');
-- Few, and soon none: looked for by every report.
CREATE INDEX IF NOT EXISTS report_before ON sereno_reports.report (zone) WHERE look IS NULL;
