-- Inserts a page whose rows all differ, where the target holds no row of the page's range and the
-- clock was not put: merge.sql with nothing to compare. $1: the source. $2: the zone.
INSERT INTO {target} (source, position, content, ordinal, {columns})
SELECT $1, page.position, page.content, 1, {values} FROM pg_temp.page
