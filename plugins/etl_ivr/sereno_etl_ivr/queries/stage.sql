-- name: days
-- The days on which the calls of the page began.
SELECT DISTINCT date_trunc('day', {cursor}) FROM pg_temp.page WHERE {cursor} IS NOT NULL;

-- name: pour
-- The rows of raw_page with the numbers $1, as rows of page. {cells}: names. {casts}: each cast to its type.
INSERT INTO pg_temp.page (content, position, {cells}, aside)
SELECT content::uuid, position::bigint, {casts}, aside::jsonb
FROM pg_temp.raw_page WHERE "row number" = ANY ($1);

-- name: stage
-- {columns}: each name with its type, as COPY reads them.
CREATE TEMP TABLE page (content uuid, position bigint, {columns}, "cursor time" text, aside jsonb) ON COMMIT DELETE ROWS;

-- name: stage_raw
-- The cells of a page with a fault, as texts: which row has the fault is found out here.
CREATE TEMP TABLE raw_page
  ("row number" integer, content text, position text, {texts}, aside text)
ON COMMIT DROP;

-- name: unstage
DELETE FROM pg_temp.page;
