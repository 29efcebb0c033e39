-- A replica of the version before begins and ends runs in one statement for many: what one row holds (a slot or a start at
-- an infinity, a count at its end, an error as long as a text can be) is not to fail it for the others.

CREATE OR REPLACE FUNCTION sereno.slot_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'running' THEN
        UPDATE sereno.slot s
           SET verdict = CASE WHEN NEW.started_at <= NEW.on_time_until THEN 'ran' ELSE 'late' END,
               reason = CASE WHEN NEW.started_at > NEW.on_time_until AND isfinite(NEW.started_at) AND isfinite(NEW.slot)
                             THEN sereno.lateness(NEW.started_at - NEW.slot) END
         WHERE s.schedule_id = NEW.schedule_id AND s.slot = NEW.slot AND s.run_id = NEW.id AND s.verdict = 'waiting';
        IF FOUND AND NEW.started_at > NEW.on_time_until THEN
            UPDATE sereno.job_stat j SET late = least(j.late, 1::bigint << 62) + 1 WHERE j.job = NEW.job;
        END IF;
    ELSIF NEW.state <> 'queued' THEN
        UPDATE sereno.slot s SET verdict = 'skipped', reason = left(coalesce(NEW.error, NEW.state), 10000) || ', before it began'
         WHERE s.schedule_id = NEW.schedule_id AND s.slot = NEW.slot AND s.run_id = NEW.id AND s.verdict = 'waiting';
        IF FOUND THEN
            UPDATE sereno.job_stat j SET skipped = least(j.skipped, 1::bigint << 62) + 1 WHERE j.job = NEW.job;
        END IF;
    ELSIF NEW.attempt = 0 THEN   -- given back
        UPDATE sereno.slot s SET verdict = 'waiting', reason = NULL
         WHERE s.schedule_id = NEW.schedule_id AND s.slot = NEW.slot AND s.run_id = NEW.id AND s.verdict IN ('ran', 'late');
    END IF;
    RETURN NULL;
END $$;
