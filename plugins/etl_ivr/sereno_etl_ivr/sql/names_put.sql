-- $1: the source. $2: the kind. $3: ids. $4: names. $5: their origin, which wins over those behind it.
INSERT INTO ivr.names AS known (source, kind, id, name, origin)
SELECT DISTINCT ON (id) $1, $2, id, name, $5
FROM unnest($3::text[], $4::text[]) AS given (id, name) WHERE id <> '' AND name <> ''
ON CONFLICT (source, kind, id) DO UPDATE SET name = excluded.name, origin = excluded.origin, seen_at = now()
WHERE (known.name, known.origin) IS DISTINCT FROM (excluded.name, excluded.origin)
  AND array_position('{settings,table,calls}', excluded.origin) <= array_position('{settings,table,calls}', known.origin)
