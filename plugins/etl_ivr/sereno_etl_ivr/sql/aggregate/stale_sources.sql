-- The sources whose facts are to be made anew: by other rules than today's, or where rows have changed
-- of which no note was taken (a replica of an earlier version loaded them). $1: the sources. $2: the
-- names of tables as ivr.watermarks has them. $3: the rules.
SELECT source FROM unnest($1::text[]) AS source
WHERE NOT EXISTS (SELECT FROM ivr.aggregated AS kept WHERE kept.source = source.source AND kept.rules = $3)
   OR EXISTS (
     SELECT FROM ivr.watermarks AS w
     WHERE w.source = source.source AND w.table_name = ANY ($2)
       AND w.inserted + w.updated + w.deleted IS DISTINCT FROM w.noted
   )
