-- {columns}: each name with its type, as COPY reads them.
CREATE TEMP TABLE page (content uuid, position bigint, {columns}, "cursor time" text, aside jsonb) ON COMMIT DELETE ROWS
