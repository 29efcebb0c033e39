-- Rows $1 to $2 of raw_page, as rows of page. {cells}: names. {casts}: each cast to its type.
INSERT INTO pg_temp.page (content, position, {cells}, aside)
SELECT content::uuid, position::bigint, {casts}, aside::jsonb
FROM pg_temp.raw_page WHERE number >= $1 AND number < $2
