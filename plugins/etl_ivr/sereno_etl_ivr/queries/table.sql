-- name: made_table
-- A target that the plugin makes: the columns of ivr.calls that every target has, see schema.
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
CREATE INDEX IF NOT EXISTS {index} ON {target} ({instant});

-- name: target_columns
-- $1: the target. Returns its columns and their types; none when it is not there.
SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped;
