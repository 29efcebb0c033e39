-- name: names_drop
-- Forgets names that settings, or a table of the source, give no more. $1: the source. $2: the kind. $3: ids that they
-- give. $4: the origin.
DELETE FROM ivr.names WHERE source = $1 AND kind = $2 AND origin = $4 AND NOT id = ANY ($3::text[]);

-- name: names_put
-- $1: the source. $2: the kind. $3: ids. $4: names. $5: their origin, which wins over those behind it.
INSERT INTO ivr.names AS known (source, kind, id, name, origin)
SELECT DISTINCT ON (id) $1, $2, id, name, $5
FROM unnest($3::text[], $4::text[]) AS given (id, name) WHERE id <> '' AND name <> ''
ON CONFLICT (source, kind, id) DO UPDATE SET name = excluded.name, origin = excluded.origin, seen_at = now()
WHERE (known.name, known.origin) IS DISTINCT FROM (excluded.name, excluded.origin)
  AND array_position('{settings,table,calls}', excluded.origin) <= array_position('{settings,table,calls}', known.origin);

-- name: source_names
-- {id}, {name}, {table}: quoted. {limit}: at most so many.
SELECT {id}, {name} FROM {table} WHERE {id} IS NOT NULL AND {name} IS NOT NULL LIMIT {limit};
