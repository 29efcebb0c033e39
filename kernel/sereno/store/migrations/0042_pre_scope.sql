-- Jobs that work at each host or node (ADR 36). Their run is the whole, which nobody works on, and has a part at each place.
-- A replica of the version before reads none of this: it takes a run that is not parted yet as any other, and leaves
-- alone the whole and its parts, as they name a node that is none.

ALTER TABLE sereno.node
    ADD COLUMN host      text,   -- the machine that it is on, by an id that survives restarts; null: not known
    ADD COLUMN host_name text;   -- as people call it

ALTER TABLE sereno.run
    ADD COLUMN place_id   text,     -- 'host:<id>' or 'node:<id>' of a part, '*' of the whole
    ADD COLUMN place_name text,     -- as people call it
    ADD COLUMN part_of    bigint,   -- the whole
    ADD COLUMN only_at    text;     -- the one place that it was asked for at; null: each

ALTER TABLE sereno.run
    DROP CONSTRAINT run_cause_check,
    ADD CONSTRAINT run_cause_check
        CHECK (cause IN ('slot', 'person', 'program', 'chain', 'retry', 'backfill', 'part')) NOT VALID;

-- A part that waits names the node that is none, whoever gives it back: so nobody takes it for a run that any node may do.
CREATE FUNCTION sereno.part_waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.node := '00000000-0000-0000-0000-000000000000';
    RETURN NEW;
END $$;
CREATE TRIGGER part_waits BEFORE UPDATE OF node ON sereno.run FOR EACH ROW
    WHEN (NEW.place_id IS NOT NULL AND NEW.node IS NULL AND NEW.state = 'queued') EXECUTE FUNCTION sereno.part_waits();
