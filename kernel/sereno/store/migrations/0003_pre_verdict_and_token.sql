-- What an attempt is known by, and what a slot is while its run waits (ADR 12).
--
-- Safe while replicas of the version before work: they name no column of these. Every change here is one of the catalogue
-- alone, and holds its lock for that long: new columns are null, and the check is not held against rows that are there,
-- which the narrower one has let in.

ALTER TABLE sereno.run
    ADD COLUMN token         uuid,          -- made at random by every claim; kept until the next one
    ADD COLUMN on_time_until timestamptz,   -- a slot's: begun later, it is late; null once that is counted
    ADD COLUMN start_by      timestamptz,   -- not begun by then, it ends unbegun; null: however late
    ADD COLUMN repeats       bigint;        -- the run that a person repeated by this one

ALTER TABLE sereno.attempt ADD COLUMN token uuid;

ALTER TABLE sereno.slot
    DROP CONSTRAINT slot_verdict_check,
    ADD CONSTRAINT slot_verdict_check
        CHECK (verdict IN ('waiting', 'ran', 'late', 'coalesced', 'skipped', 'missed')) NOT VALID;

-- How a slot is told of that was begun `after` its instant.
CREATE FUNCTION sereno.lateness(after interval) RETURNS text LANGUAGE sql IMMUTABLE
RETURN round(extract(epoch FROM after), 1) || ' s late';

-- A replica of the version before begins and ends runs without a word to their slots, which wait since this one settled
-- them: so the table says it for them. Whoever knows of tokens changes them with every claim, and says it in the statement
-- itself. To go with the first `post` migration.
CREATE FUNCTION sereno.slot_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'running' THEN
        UPDATE sereno.slot s
           SET verdict = CASE WHEN NEW.started_at <= NEW.on_time_until THEN 'ran' ELSE 'late' END,
               reason = CASE WHEN NEW.started_at > NEW.on_time_until THEN sereno.lateness(NEW.started_at - NEW.slot) END
         WHERE s.schedule_id = NEW.schedule_id AND s.slot = NEW.slot AND s.run_id = NEW.id AND s.verdict = 'waiting';
        IF FOUND AND NEW.started_at > NEW.on_time_until THEN
            UPDATE sereno.job_stat j SET late = j.late + 1 WHERE j.job = NEW.job;
        END IF;
    ELSIF NEW.state <> 'queued' THEN
        UPDATE sereno.slot s SET verdict = 'skipped', reason = coalesce(NEW.error, NEW.state) || ', before it began'
         WHERE s.schedule_id = NEW.schedule_id AND s.slot = NEW.slot AND s.run_id = NEW.id AND s.verdict = 'waiting';
        IF FOUND THEN
            UPDATE sereno.job_stat j SET skipped = j.skipped + 1 WHERE j.job = NEW.job;
        END IF;
    ELSIF NEW.attempt = 0 THEN   -- given back
        UPDATE sereno.slot s SET verdict = 'waiting', reason = NULL
         WHERE s.schedule_id = NEW.schedule_id AND s.slot = NEW.slot AND s.run_id = NEW.id AND s.verdict IN ('ran', 'late');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER slot_follows AFTER UPDATE OF state ON sereno.run FOR EACH ROW
    WHEN (NEW.on_time_until IS NOT NULL AND 'queued' IN (OLD.state, NEW.state)
          AND NEW.state <> OLD.state AND NEW.token IS NOT DISTINCT FROM OLD.token)
    EXECUTE FUNCTION sereno.slot_follows();
