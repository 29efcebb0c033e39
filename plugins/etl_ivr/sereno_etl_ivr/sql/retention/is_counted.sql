-- Whether the figures of a source are made of all rows before a position. $1: the source. $2: the position.
SELECT EXISTS (SELECT FROM ivr.aggregated WHERE source = $1 AND aggregated_at IS NOT NULL)
   AND NOT EXISTS (SELECT FROM ivr.touched WHERE source = $1 AND first < $2)
   AND NOT EXISTS (
     SELECT FROM ivr.watermarks
     WHERE source = $1 AND table_name = ANY ($3) AND inserted + updated + deleted IS DISTINCT FROM noted
   )
