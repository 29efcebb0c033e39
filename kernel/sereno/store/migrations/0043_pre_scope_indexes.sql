-- A place has one part of a whole; and what is open of them is found without a look at other runs (ADR 36).

CREATE UNIQUE INDEX IF NOT EXISTS run_part ON sereno.run (part_of, place_id) WHERE part_of IS NOT NULL;
CREATE INDEX IF NOT EXISTS run_open_part ON sereno.run (id) WHERE place_id IS NOT NULL AND state IN ('queued', 'running');
