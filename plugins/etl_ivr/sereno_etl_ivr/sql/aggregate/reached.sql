-- $1: the sources. $2: how far the calls of each were loaded, when nothing was left to do.
UPDATE ivr.aggregated AS kept SET aggregated_at = now(), reached = coalesce(given.reached, kept.reached)
FROM unnest($1::text[], $2::timestamptz[]) AS given (source, reached) WHERE kept.source = given.source
