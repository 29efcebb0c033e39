-- Which code a replica runs, as far as the schema is concerned: a *post* migration waits until none is left that does
-- not know it.

ALTER TABLE sereno.node ADD COLUMN migration integer;   -- the newest that its code knows; null: from before this was told
