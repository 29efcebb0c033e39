-- The rows of raw_page with the numbers $1, as rows of page. {cells}: names. {casts}: each cast to its type.
INSERT INTO pg_temp.page (content, position, {cells}, aside)
SELECT content::uuid, position::bigint, {casts}, aside::jsonb
FROM pg_temp.raw_page WHERE "row number" = ANY ($1)
