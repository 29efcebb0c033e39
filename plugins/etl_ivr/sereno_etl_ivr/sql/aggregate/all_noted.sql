-- $1: the sources that were noted as a whole. $2: the rules. $3..$5: sources, tables and what was not noted of each.
WITH noted AS (
  UPDATE ivr.watermarks AS w SET noted = w.noted + told.gap
  FROM unnest($3::text[], $4::text[], $5::bigint[]) AS told (source, table_name, gap)
  WHERE w.source = told.source AND w.table_name = told.table_name AND told.gap <> 0
)
INSERT INTO ivr.aggregated (source, rules) SELECT source, $2 FROM unnest($1::text[]) AS source
ON CONFLICT (source) DO UPDATE SET rules = excluded.rules
