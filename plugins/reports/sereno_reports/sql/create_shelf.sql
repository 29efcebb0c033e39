CREATE SCHEMA IF NOT EXISTS sereno_reports;
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
CREATE INDEX IF NOT EXISTS report_day ON sereno_reports.report (day, name)
