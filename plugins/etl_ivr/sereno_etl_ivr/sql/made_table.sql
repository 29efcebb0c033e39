-- A target that the plugin makes: the columns of ivr.calls that every target has, see schema.sql.
CREATE TABLE IF NOT EXISTS {target} (
  source text NOT NULL,
  {columns},
  {instant} timestamptz,
  time_note text,
  extra jsonb,
  position bigint NOT NULL,
  content uuid NOT NULL,
  ordinal integer NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (source, position, content, ordinal)
);
CREATE INDEX IF NOT EXISTS {index} ON {target} ({instant})
