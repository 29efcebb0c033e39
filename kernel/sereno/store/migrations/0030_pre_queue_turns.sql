-- What waits with a concurrency key waits apart from what has none, key by key: so that neither a thousand runs of one key
-- nor those whose key has no place are read on the way to what may start. A replica of the version before finds what waits
-- by `run_later`, and sorts it. Where the table is large, make the two by hand before: docs/schema.md.
CREATE INDEX IF NOT EXISTS run_free ON sereno.run (priority DESC, run_at, id) WHERE state = 'queued' AND concurrency_key IS NULL;
CREATE INDEX IF NOT EXISTS run_turn ON sereno.run (priority, hashtextextended(concurrency_key, hashtext(job)), run_at, id)
    WHERE state = 'queued' AND concurrency_key IS NOT NULL;
DROP INDEX IF EXISTS sereno.run_queue;
