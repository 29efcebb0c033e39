-- $1: the sources. Returns up to which instant the figures of all of them are made; NULL when of one not.
SELECT CASE WHEN count(reached) = cardinality($1::text[]) THEN min(reached) END
FROM ivr.aggregated WHERE source = ANY ($1)
