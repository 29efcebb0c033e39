-- As before, and a key that is to hold for no longer than its run is tried here first, by the two statements that it takes:
-- the functions that know of spans take a call twice as long. They have their say where a span holds the key, or did.
CREATE OR REPLACE FUNCTION sereno.enqueue(
    job           text,
    params        jsonb DEFAULT '{}',
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    unique_key    text DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL,
    start_by      interval DEFAULT NULL,
    unique_for    interval DEFAULT NULL,
    unique_by     text[] DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known sereno.job%ROWTYPE := sereno.known_job(enqueue.job);
    why   text := coalesce(enqueue.cause, 'program');
    asker text := sereno.asker(enqueue.job, enqueue.requested_by, why);
    level integer := coalesce(enqueue.priority, sereno.priority(known.policies), 0);
    found bigint;
    turn  text;
    due   timestamptz := coalesce(enqueue.run_at, clock_timestamp());
    until timestamptz;
    keyed boolean;
BEGIN
    PERFORM sereno.check_run(enqueue.job, enqueue.run_at, enqueue.priority, why);
    PERFORM sereno.check_params(known, ARRAY[enqueue.params], numbered => false);
    IF enqueue.start_by IS NOT NULL OR known.policies ->> 'start_by' IS NOT NULL THEN
        until := sereno.begin_by(enqueue.job, due, known.policies, enqueue.start_by);
    END IF;
    turn := (sereno.concurrency_keys(known.policies ->> 'concurrency_key', ARRAY[enqueue.params]))[1];
    keyed := enqueue.unique_key IS NOT NULL OR enqueue.unique_for IS NOT NULL OR enqueue.unique_by IS NOT NULL
             OR known.policies ->> 'unique_for' IS NOT NULL OR known.policies ->> 'unique_by' IS NOT NULL;
    IF keyed AND enqueue.unique_for IS NULL AND enqueue.unique_by IS NULL AND known.policies ->> 'unique_for' IS NULL
       AND octet_length(enqueue.unique_key) <= 2000 THEN
        INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, unique_key, concurrency_key, requested_by, trace_context,
                                     start_by)
        VALUES (enqueue.job, why, level, due, enqueue.params, enqueue.unique_key, turn, asker, left(enqueue.trace_context, 16384),
                until)
        ON CONFLICT DO NOTHING RETURNING r.id INTO found;
        IF found IS NULL THEN
            SELECT r.id INTO found FROM sereno.run r
             WHERE r.job = enqueue.job AND r.unique_key = enqueue.unique_key AND r.state IN ('queued', 'running');
        ELSIF EXISTS (SELECT FROM sereno.unique_key k WHERE k.job = enqueue.job AND k.key = enqueue.unique_key) THEN
            DELETE FROM sereno.run r WHERE r.id = found;   -- as no row of ours may stand beside one that holds
            found := NULL;
        END IF;
    END IF;
    IF keyed AND found IS NULL THEN
        SELECT u.run_id INTO found
          FROM sereno.unique_runs(known, ARRAY[enqueue.params], CASE WHEN enqueue.unique_key IS NOT NULL THEN ARRAY[enqueue.unique_key] END,
                                  enqueue.unique_for, enqueue.unique_by, why, level, due, ARRAY[turn], asker,
                                  enqueue.trace_context, until) AS u;
    END IF;
    IF found IS NULL THEN
        INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, concurrency_key, requested_by, trace_context,
                                     start_by)
        VALUES (enqueue.job, why, level, due, enqueue.params, turn, asker, left(enqueue.trace_context, 16384), until)
        RETURNING r.id INTO found;
    END IF;
    PERFORM pg_notify('sereno', 'run');
    RETURN found;
END $$;
