-- $1: the sources. Returns how many rows are touched and not yet aggregated.
SELECT coalesce(sum(rows), 0)::bigint FROM ivr.touched WHERE source = ANY ($1)
