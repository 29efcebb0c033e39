-- {columns}: each name with its type, as COPY reads them in a page without a fault.
CREATE TEMP TABLE page (content uuid, position bigint, {columns}, aside jsonb)
ON COMMIT DELETE ROWS;
-- The same cells as texts, for a page with a fault: which row has it is found out here.
CREATE TEMP TABLE raw_page (number integer, content text, position text, {texts}, aside text)
ON COMMIT DELETE ROWS
