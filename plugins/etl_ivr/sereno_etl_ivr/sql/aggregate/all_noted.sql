-- $1: the sources. $2: the tables' names. $3: the rules.
WITH noted AS (
  UPDATE ivr.watermarks SET noted = inserted + updated + deleted WHERE source = ANY ($1) AND table_name = ANY ($2)
)
INSERT INTO ivr.aggregated (source, rules) SELECT source, $3 FROM unnest($1::text[]) AS source
ON CONFLICT (source) DO UPDATE SET rules = excluded.rules
