-- By when a run is to begin (`start_by`), a policy, or said of one run.
--
-- The functions of before keep their rows, and so what was built on them, under another name, which goes with a `post`
-- migration; a call with as many arguments as they have finds the new ones, which have one more with a default.

ALTER TABLE sereno.job_stat ADD COLUMN expired bigint NOT NULL DEFAULT 0;   -- ended unbegun, beyond `run.start_by`

-- By when a run of a job with these policies is to begin that is due then; null: however late.
CREATE FUNCTION sereno.begin_by(due timestamptz, policies jsonb) RETURNS timestamptz LANGUAGE sql STABLE
RETURN CASE WHEN sereno.duration(policies ->> 'start_by') IS NOT NULL
            THEN least(due + sereno.duration(policies ->> 'start_by'), '9999-12-30T23:59:59.999998Z') END;

-- The same, where its caller may say otherwise.
CREATE FUNCTION sereno.begin_by(job text, due timestamptz, policies jsonb, start_by interval) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF begin_by.start_by IS NULL THEN
        RETURN sereno.begin_by(due, policies);
    END IF;
    IF begin_by.start_by <= interval '0' OR begin_by.start_by > interval '20000 years' THEN
        RAISE EXCEPTION 'job ''%'': start_by is %, it must be longer than nothing, and not of 20000 years', job, begin_by.start_by
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN least(due + begin_by.start_by, '9999-12-30T23:59:59.999998Z');
END $$;

ALTER FUNCTION sereno.enqueue(text, jsonb, timestamptz, integer, text, text, text, text) RENAME TO enqueue_without_start_by;
ALTER FUNCTION sereno.enqueue_many(text, jsonb[], timestamptz, integer, text, text, text)
    RENAME TO enqueue_many_without_start_by;

-- As before, and `start_by`: not begun within so long of its instant, the run ends unbegun; null: as its job says.
CREATE FUNCTION sereno.enqueue(
    job           text,
    params        jsonb DEFAULT '{}',
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    unique_key    text DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL,
    start_by      interval DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known sereno.job%ROWTYPE := sereno.known_job(enqueue.job);
    why   text := coalesce(enqueue.cause, 'program');
    asker text := sereno.asker(enqueue.job, enqueue.requested_by, why);
    found bigint;
    turn  text;
    due   timestamptz := coalesce(enqueue.run_at, clock_timestamp());
    until timestamptz;
BEGIN
    IF octet_length(enqueue.unique_key) > 2000 THEN   -- an index entry has a third of a page
        RAISE EXCEPTION 'job ''%'': the unique_key is of % bytes, it must be of 2000 at most', enqueue.job,
            octet_length(enqueue.unique_key) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM sereno.check_run(enqueue.job, enqueue.run_at, enqueue.priority, why);
    PERFORM sereno.check_params(known, ARRAY[enqueue.params], numbered => false);
    IF enqueue.start_by IS NOT NULL OR known.policies ->> 'start_by' IS NOT NULL THEN
        until := sereno.begin_by(enqueue.job, due, known.policies, enqueue.start_by);
    END IF;
    turn := (sereno.concurrency_keys(known.policies ->> 'concurrency_key', ARRAY[enqueue.params]))[1];
    LOOP
        INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, unique_key, concurrency_key, requested_by,
                                     trace_context, start_by)
        VALUES (enqueue.job, why, coalesce(enqueue.priority, sereno.priority(known.policies), 0),
                due, enqueue.params, enqueue.unique_key, turn, asker, left(enqueue.trace_context, 16384), until)
        ON CONFLICT DO NOTHING RETURNING r.id INTO found;
        EXIT WHEN found IS NOT NULL;
        SELECT r.id INTO found FROM sereno.run r
         WHERE r.job = enqueue.job AND r.unique_key = enqueue.unique_key AND r.state IN ('queued', 'running');
        EXIT WHEN found IS NOT NULL;
    END LOOP;
    PERFORM pg_notify('sereno', 'run');
    RETURN found;
END $$;

-- Queue a run for each of `params` by one statement: all, or with a sentence none. What else is said holds
-- for every one of them. Returns their ids in the order of `params`. Rights as those of `enqueue`.
CREATE FUNCTION sereno.enqueue_many(
    job           text,
    params        jsonb[],
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL,
    start_by      interval DEFAULT NULL
) RETURNS SETOF bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off   -- compiling took longer than the work, however many there are
AS $$
DECLARE
    known sereno.job%ROWTYPE := sereno.known_job(enqueue_many.job);
    turns text[];
    level integer := coalesce(enqueue_many.priority, sereno.priority(known.policies), 0);
    due   timestamptz := coalesce(enqueue_many.run_at, clock_timestamp());
    why   text := coalesce(enqueue_many.cause, 'program');
    asker text := sereno.asker(enqueue_many.job, enqueue_many.requested_by, why);
    until timestamptz;
BEGIN
    IF enqueue_many.params IS NULL THEN
        RAISE EXCEPTION 'job ''%'': params are null, they must be an array of objects', enqueue_many.job
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM sereno.check_run(enqueue_many.job, enqueue_many.run_at, enqueue_many.priority, why);
    PERFORM sereno.check_params(known, enqueue_many.params, numbered => true);
    IF enqueue_many.start_by IS NOT NULL OR known.policies ->> 'start_by' IS NOT NULL THEN
        until := sereno.begin_by(enqueue_many.job, due, known.policies, enqueue_many.start_by);
    END IF;
    turns := sereno.concurrency_keys(known.policies ->> 'concurrency_key', enqueue_many.params);
    RETURN QUERY
        INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, concurrency_key, requested_by, trace_context,
                                     start_by)
        SELECT enqueue_many.job, why, level, due, u.given, u.turn, asker, left(enqueue_many.trace_context, 16384), until
          FROM unnest(enqueue_many.params, turns) WITH ORDINALITY AS u (given, turn, number) ORDER BY u.number
        RETURNING r.id;
    IF FOUND THEN
        PERFORM pg_notify('sereno', 'run');
    END IF;
END $$;

-- Who could call those of before may call these.
REVOKE EXECUTE ON FUNCTION sereno.enqueue(text, jsonb, timestamptz, integer, text, text, text, text, interval),
                           sereno.enqueue_many(text, jsonb[], timestamptz, integer, text, text, text, interval) FROM PUBLIC;
DO $$
DECLARE
    able record;
BEGIN
    FOR able IN SELECT CASE p.proname WHEN 'enqueue_without_start_by'
                            THEN 'sereno.enqueue(text, jsonb, timestamptz, integer, text, text, text, text, interval)'
                            ELSE 'sereno.enqueue_many(text, jsonb[], timestamptz, integer, text, text, text, interval)' END AS called,
                       CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role,
                       CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
                  FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
                 WHERE p.pronamespace = 'sereno'::regnamespace AND a.grantee <> p.proowner
                   AND p.proname IN ('enqueue_without_start_by', 'enqueue_many_without_start_by') LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s%s', able.called, able.role, able.option);
    END LOOP;
END $$;

-- Where the table is large, an index would keep writers out while it is made, and is a person's: docs/schema.md.
DO $$
BEGIN
    IF pg_relation_size('sereno.run') < 256 * 1024 * 1024 THEN
        CREATE INDEX IF NOT EXISTS run_start_by ON sereno.run (start_by)
            WHERE state = 'queued' AND attempt = 0 AND start_by IS NOT NULL;
    END IF;
END $$;
