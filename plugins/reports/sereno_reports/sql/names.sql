-- $1: the exchanges that count, all when empty. Where two exchanges use one number, both names.
SELECT kind, id, string_agg(DISTINCT name, ' / ' ORDER BY name) AS name
FROM ivr.names
WHERE cardinality($1::text[]) = 0 OR source = ANY ($1)
GROUP BY kind, id
