-- A key that no second run takes for a span of time: `unique_for`, of one enqueue or declared for a job. It holds from when
-- the run is queued until the span is over, and for as long as that run is not, however it ended and however long it is
-- kept. So a key has a row of its own, which `sereno.prune` deletes no sooner. The functions keep their names and the
-- arguments that the version before sends: it goes on, and holds to what the jobs of the new one declare.

CREATE TABLE sereno.unique_key (
    job         text NOT NULL,
    key         text NOT NULL,
    run_id      bigint NOT NULL,
    held_since  timestamptz NOT NULL,
    held_until  timestamptz NOT NULL,
    state       text,                               -- how its run ended, once that is pruned
    finished_at timestamptz,                        -- when
    PRIMARY KEY (job, key)
);
CREATE INDEX unique_key_run ON sereno.unique_key (run_id);
CREATE INDEX unique_key_over ON sereno.unique_key (held_until);

-- The key of each of `params`, for what is not to run again: of the params that `names` lists, null: of all that are not
-- secret. By its digest: params may be large, and a key is shown. JSON is compared as jsonb writes it: the order of names
-- is nothing, 1 and 1.0 are two values.
CREATE FUNCTION sereno.unique_keys(known sereno.job, params jsonb[], names text[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    wrong record;
BEGIN
    SELECT k INTO wrong FROM unnest(names) AS k WHERE k = ANY (known.secrets) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'job ''%'': param ''%'' is secret, and a key that is kept cannot be made of it; leave it out of unique_by',
            known.name, wrong.k USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT k, u.number INTO wrong FROM unnest(params) WITH ORDINALITY AS u (given, number), unnest(names) AS k
     WHERE NOT u.given ? k ORDER BY u.number LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'job ''%'': %param ''%'' is missing, which its unique_by names', known.name,
            CASE WHEN cardinality(params) > 1 THEN format('params %s: ', wrong.number) ELSE '' END, left(wrong.k, 200)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN ARRAY(SELECT 'params ' || encode(sha256(convert_to((CASE
                            WHEN names IS NULL THEN u.given - coalesce(known.secrets, '{}')
                            ELSE (SELECT jsonb_object_agg(k, u.given -> k) FROM unnest(names) AS k) END)::text, 'UTF8')), 'hex')
                   FROM unnest(params) WITH ORDINALITY AS u (given, number) ORDER BY u.number);
END $$;

-- For how long a key is to hold, and of what it is made, by what is said or else by the job: `span` null: while the run is
-- not over; `keyed` false: there is no key. A span of nothing sets what the job says off.
CREATE FUNCTION sereno.unique_rule(known sereno.job, given boolean, INOUT unique_for interval, INOUT unique_by text[],
                                   OUT keyed boolean) LANGUAGE plpgsql STABLE AS $$
DECLARE
    off boolean := unique_for = interval '0';
BEGIN
    IF unique_for < interval '0' OR unique_for > interval '3650 days' THEN
        RAISE EXCEPTION 'job ''%'': unique_for is %, it must be from 0 to 3650 days; 0 sets what the job says off', known.name,
            unique_for USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(unique_by) = 0 OR array_position(unique_by, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'job ''%'': unique_by names no param; leave it out to compare all of them', known.name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF given AND unique_by IS NOT NULL THEN
        RAISE EXCEPTION 'job ''%'': a unique key and unique_by are both given; name one of them', known.name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    unique_for := nullif(coalesce(unique_for, sereno.duration(known.policies ->> 'unique_for')), interval '0');
    keyed := given OR unique_for IS NOT NULL OR unique_by IS NOT NULL
             OR (NOT coalesce(off, false) AND known.policies ->> 'unique_by' IS NOT NULL);
    IF unique_by IS NULL AND jsonb_typeof(known.policies -> 'unique_by') = 'array' THEN
        unique_by := ARRAY(SELECT DISTINCT k FROM jsonb_array_elements_text(known.policies -> 'unique_by') AS k ORDER BY k);
    END IF;
END $$;

-- Queue a run that has a unique key, or find the one that holds it. The row is tried first and looked for afterwards, as
-- whoever reads before cannot see what another transaction is about to commit; who comes second waits for its end. A row
-- that holds is read and never locked: who is refused keeps no third one waiting.
CREATE FUNCTION sereno.unique_run(job text, cause text, priority integer, run_at timestamptz, params jsonb, key text,
                                  turn text, asker text, trace_context text, begin_by timestamptz, span interval,
                                  OUT run_id bigint, OUT new boolean, OUT at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    held record;
BEGIN
    IF octet_length(unique_run.key) > 2000 THEN   -- an index entry has a third of a page
        RAISE EXCEPTION 'job ''%'': the unique_key is of % bytes, it must be of 2000 at most', unique_run.job,
            octet_length(unique_run.key) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOOP
        new := true;
        run_id := nextval('sereno.run_id_seq');
        at := clock_timestamp();
        IF span IS NOT NULL THEN
            INSERT INTO sereno.unique_key AS k (job, key, run_id, held_since, held_until)
            VALUES (unique_run.job, unique_run.key, unique_run.run_id, unique_run.at, unique_run.at + span)
            ON CONFLICT DO NOTHING;
            new := FOUND;
        END IF;
        IF new THEN
            INSERT INTO sereno.run AS r (id, job, cause, priority, run_at, queued_at, params, unique_key, concurrency_key, requested_by,
                                         trace_context, start_by)
            OVERRIDING SYSTEM VALUE
            VALUES (unique_run.run_id, unique_run.job, unique_run.cause, unique_run.priority,
                    coalesce(unique_run.run_at, unique_run.at), unique_run.at, unique_run.params, unique_run.key, turn, asker,
                    left(unique_run.trace_context, 16384), unique_run.begin_by)
            ON CONFLICT DO NOTHING;
            new := FOUND;
            IF new AND span IS NOT NULL THEN
                RETURN;
            END IF;
        END IF;
        -- With a span the row above is ours, or another's; without, whoever has one comes first, also the moment it commits.
        SELECT k.run_id, k.held_until, coalesce(r.state, k.state) AS state, r.attempt INTO held
          FROM sereno.unique_key k LEFT JOIN sereno.run r ON r.id = k.run_id
         WHERE k.job = unique_run.job AND k.key = unique_run.key AND k.run_id <> unique_run.run_id;
        IF FOUND THEN
            IF held.held_until > clock_timestamp() AND (held.state = 'cancelled' AND held.attempt = 0) IS NOT TRUE
               OR held.state IN ('queued', 'running') THEN
                IF new THEN   -- no row of ours may stand beside it
                    DELETE FROM sereno.run r WHERE r.id = unique_run.run_id;
                END IF;
                run_id := held.run_id;
                new := false;
                RETURN;
            END IF;
            IF new THEN
                RETURN;
            END IF;
            IF span IS NOT NULL THEN   -- its time is over
                DELETE FROM sereno.unique_key k
                 WHERE k.job = unique_run.job AND k.key = unique_run.key AND k.run_id = held.run_id;
                CONTINUE;
            END IF;
        ELSIF new THEN
            RETURN;
        END IF;
        IF span IS NOT NULL THEN   -- a run that said no span has the key: ours is not to hold it
            DELETE FROM sereno.unique_key k
             WHERE k.job = unique_run.job AND k.key = unique_run.key AND k.run_id = unique_run.run_id;
        END IF;
        SELECT r.id INTO held FROM sereno.run r
         WHERE r.job = unique_run.job AND r.unique_key = unique_run.key AND r.state IN ('queued', 'running');
        IF FOUND THEN
            run_id := held.id;
            RETURN;
        END IF;
    END LOOP;
END $$;

-- Queue a run for each of `params` that has a unique key, or find who holds it; no row where the runs have none. Keys are
-- taken in their own order, so that two calls never wait for one another.
CREATE FUNCTION sereno.unique_runs(known sereno.job, params jsonb[], keys text[], unique_for interval, unique_by text[],
                                   cause text, priority integer, run_at timestamptz, turns text[], asker text,
                                   trace_context text, begin_by timestamptz)
RETURNS TABLE (number bigint, run_id bigint, new boolean, at timestamptz, held_until timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    rule record;
    one  record;
BEGIN
    IF unique_runs.keys IS NULL AND unique_runs.unique_for IS NULL AND unique_runs.unique_by IS NULL
       AND known.policies ->> 'unique_for' IS NULL AND known.policies ->> 'unique_by' IS NULL THEN
        RETURN;
    END IF;
    IF cardinality(unique_runs.keys) <> cardinality(unique_runs.params) OR array_position(unique_runs.keys, NULL) > 0 THEN
        RAISE EXCEPTION 'job ''%'': there are % unique keys for % params; give each its own', known.name,
            cardinality(array_remove(unique_runs.keys, NULL)), cardinality(unique_runs.params)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO rule
      FROM sereno.unique_rule(known, unique_runs.keys IS NOT NULL, unique_runs.unique_for, unique_runs.unique_by);
    IF NOT rule.keyed THEN
        RETURN;
    END IF;
    FOR one IN SELECT u.* FROM unnest(coalesce(unique_runs.keys, sereno.unique_keys(known, unique_runs.params, rule.unique_by)))
                          WITH ORDINALITY AS u (key, number) ORDER BY u.key COLLATE "C", u.number LOOP
        number := one.number;
        SELECT u.run_id, u.new, u.at, u.at + rule.unique_for
          INTO unique_runs.run_id, unique_runs.new, unique_runs.at, unique_runs.held_until
          FROM sereno.unique_run(known.name, unique_runs.cause, unique_runs.priority, unique_runs.run_at,
                                 unique_runs.params[one.number], one.key, turns[one.number], asker,
                                 unique_runs.trace_context, unique_runs.begin_by, rule.unique_for) AS u;
        RETURN NEXT;
    END LOOP;
END $$;

-- How a run stands that was asked for: `new`, it was queued for that; else it is the one that holds the key, until
-- `held_until`, null: while it is not over. A pruned run is told as it ended.
CREATE TYPE sereno.requested AS (
    run_id bigint, new boolean, state text, run_at timestamptz, queued_at timestamptz, finished_at timestamptz,
    held_until timestamptz
);

-- The functions of before keep their rows, and so what was built on them, until a `post` migration.
ALTER FUNCTION sereno.enqueue RENAME TO enqueue_without_unique_for;
ALTER FUNCTION sereno.enqueue_many RENAME TO enqueue_many_without_unique_for;

-- Queue a run inside the caller's own transaction. `run_at` null: as soon as possible. Returns the run's
-- id; with a unique key that a run of the job holds already, that run's id. `unique_for`: for how long it is held from now,
-- also when the run is over; `unique_by`: the params that make the key where none is said.
-- Works with its owner's rights: EXECUTE is all that its callers need, and a search_path of theirs changes nothing.
CREATE FUNCTION sereno.enqueue(
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
BEGIN
    PERFORM sereno.check_run(enqueue.job, enqueue.run_at, enqueue.priority, why);
    PERFORM sereno.check_params(known, ARRAY[enqueue.params], numbered => false);
    IF enqueue.start_by IS NOT NULL OR known.policies ->> 'start_by' IS NOT NULL THEN
        until := sereno.begin_by(enqueue.job, due, known.policies, enqueue.start_by);
    END IF;
    turn := (sereno.concurrency_keys(known.policies ->> 'concurrency_key', ARRAY[enqueue.params]))[1];
    IF enqueue.unique_key IS NOT NULL OR enqueue.unique_for IS NOT NULL OR enqueue.unique_by IS NOT NULL
       OR known.policies ->> 'unique_for' IS NOT NULL OR known.policies ->> 'unique_by' IS NOT NULL THEN
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

-- Queue a run for each of `params` by one call: all, or with a sentence none. What else is said holds
-- for every one of them; `unique_keys`: the key of each. Returns ids in the order of `params`, where a key is held that of
-- who holds it. Rights as those of `enqueue`.
CREATE FUNCTION sereno.enqueue_many(
    job           text,
    params        jsonb[],
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL,
    start_by      interval DEFAULT NULL,
    unique_for    interval DEFAULT NULL,
    unique_by     text[] DEFAULT NULL,
    unique_keys   text[] DEFAULT NULL
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
        SELECT u.run_id
          FROM sereno.unique_runs(known, enqueue_many.params, enqueue_many.unique_keys, enqueue_many.unique_for,
                                  enqueue_many.unique_by, why, level, due, turns, asker, enqueue_many.trace_context,
                                  until) AS u
         ORDER BY u.number;
    IF NOT FOUND THEN
        RETURN QUERY
            INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, concurrency_key, requested_by, trace_context,
                                         start_by)
            SELECT enqueue_many.job, why, level, due, u.given, u.turn, asker, left(enqueue_many.trace_context, 16384), until
              FROM unnest(enqueue_many.params, turns) WITH ORDINALITY AS u (given, turn, number) ORDER BY u.number
            RETURNING r.id;
    END IF;
    IF FOUND THEN
        PERFORM pg_notify('sereno', 'run');
    END IF;
END $$;

-- Queue runs as `enqueue_many` does, and tell of each how it stands, or how the one stands that holds its key.
CREATE FUNCTION sereno.request_many(
    job           text,
    params        jsonb[],
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL,
    start_by      interval DEFAULT NULL,
    unique_for    interval DEFAULT NULL,
    unique_by     text[] DEFAULT NULL,
    unique_keys   text[] DEFAULT NULL
) RETURNS SETOF sereno.requested LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    known sereno.job%ROWTYPE := sereno.known_job(request_many.job);
    why   text := coalesce(request_many.cause, 'program');
    asker text := sereno.asker(request_many.job, request_many.requested_by, why);
    keyed boolean := false;
    ids   bigint[];
    one   record;
    told  sereno.requested;
    due   timestamptz := coalesce(request_many.run_at, clock_timestamp());
BEGIN
    IF request_many.params IS NULL THEN
        RAISE EXCEPTION 'job ''%'': params are null, they must be an array of objects', request_many.job
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM sereno.check_run(request_many.job, request_many.run_at, request_many.priority, why);
    PERFORM sereno.check_params(known, request_many.params, numbered => cardinality(request_many.params) > 1);
    FOR one IN SELECT u.*
                 FROM sereno.unique_runs(known, request_many.params, request_many.unique_keys, request_many.unique_for,
                                         request_many.unique_by, why,
                                         coalesce(request_many.priority, sereno.priority(known.policies), 0),
                                         due,
                                         sereno.concurrency_keys(known.policies ->> 'concurrency_key', request_many.params),
                                         asker, request_many.trace_context,
                                         sereno.begin_by(request_many.job, due, known.policies, request_many.start_by)) AS u ORDER BY u.number LOOP
        keyed := true;
        IF one.new THEN   -- not read: in a serializable transaction all that is read may be the reason to refuse it
            told := (one.run_id, true, 'queued', due, one.at, NULL, one.held_until);
        ELSE
            SELECT one.run_id, false, coalesce(r.state, k.state), coalesce(r.run_at, k.held_since),
                   coalesce(r.queued_at, k.held_since), coalesce(r.finished_at, k.finished_at), k.held_until
              INTO told
              FROM (VALUES (one.run_id)) AS i (id)
              LEFT JOIN sereno.run r ON r.id = i.id LEFT JOIN sereno.unique_key k ON k.run_id = i.id;
        END IF;
        RETURN NEXT told;
    END LOOP;
    IF keyed THEN
        PERFORM pg_notify('sereno', 'run');
    ELSE
        ids := ARRAY(SELECT u.id FROM sereno.enqueue_many(request_many.job, request_many.params, request_many.run_at,
                                                          request_many.priority, asker, why, request_many.trace_context,
                                                          request_many.start_by, request_many.unique_for) WITH ORDINALITY AS u (id, number)
                      ORDER BY u.number);
        RETURN QUERY SELECT r.id, true, r.state, r.run_at, r.queued_at, r.finished_at, NULL::timestamptz
                       FROM unnest(ids) WITH ORDINALITY AS u (id, number) JOIN sereno.run r ON r.id = u.id
                      ORDER BY u.number;
    END IF;
END $$;

-- Queue a run as `enqueue` does, and tell how it stands, or how the one stands that holds its key.
CREATE FUNCTION sereno.request(
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
) RETURNS sereno.requested LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
SELECT * FROM sereno.request_many(request.job, ARRAY[request.params], request.run_at, request.priority, request.requested_by,
                                  request.cause, request.trace_context, request.start_by, request.unique_for, request.unique_by,
                                  CASE WHEN request.unique_key IS NOT NULL THEN ARRAY[request.unique_key] END)
$$;

-- Who could queue runs may go on, and ask for them.
REVOKE EXECUTE ON FUNCTION sereno.enqueue, sereno.enqueue_many, sereno.request, sereno.request_many FROM PUBLIC;
DO $$
DECLARE
    able record;
BEGIN
    FOR able IN SELECT DISTINCT replace(p.proname, '_without_unique_for', '') AS function,
                       CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role,
                       CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
                  FROM pg_proc p, aclexplode(p.proacl) AS a
                 WHERE p.pronamespace = 'sereno'::regnamespace AND p.proname IN ('enqueue_without_unique_for', 'enqueue_many_without_unique_for')
                   AND a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION sereno.%I, sereno.%I TO %s%s', able.function,
                       replace(able.function, 'enqueue', 'request'), able.role, able.option);
    END LOOP;
END $$;

-- As before; of a run that is deleted, the key that it holds keeps how it ended, unless that sets it free; and keys whose
-- time is over go.
CREATE OR REPLACE FUNCTION sereno.delete_runs(ids bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    n integer;
BEGIN
    IF EXISTS (SELECT FROM sereno.unique_key) THEN
        UPDATE sereno.unique_key k SET state = r.state, finished_at = r.finished_at,
               held_until = CASE WHEN r.state = 'cancelled' AND r.attempt = 0 THEN k.held_since ELSE k.held_until END
          FROM sereno.run r WHERE r.id = ANY (ids) AND k.run_id = r.id;
        DELETE FROM sereno.unique_key WHERE (job, key) IN (
            SELECT k.job, k.key FROM sereno.unique_key k LEFT JOIN sereno.run r ON r.id = k.run_id
             WHERE k.held_until < clock_timestamp() AND coalesce(r.state, 'gone') NOT IN ('queued', 'running')
             ORDER BY k.held_until LIMIT 1000);
    END IF;
    WITH deleted AS (
        DELETE FROM sereno.run r WHERE r.id = ANY (ids)
        RETURNING r.job, r.id, r.state, r.cause, r.attempt, r.slot, r.started_at, r.finished_at
    ), noted AS (
        UPDATE sereno.job_stat j SET pruned_run = greatest(j.pruned_run, d.id)
          FROM (SELECT job, max(id) AS id FROM deleted GROUP BY job) d WHERE j.job = d.job
    ), counted AS (
        INSERT INTO sereno.run_tally AS t
        SELECT date_bin('15 minutes', d.finished_at, '2000-01-01 00:00+00'), d.job, d.state, count(*), count(d.took),
               coalesce(sum(d.took), 0), max(d.took), count(d.late), coalesce(sum(d.late), 0), max(d.late)
          FROM (SELECT *, CASE WHEN isfinite(started_at) THEN extract(epoch FROM finished_at - started_at)::float8 END AS took,
                       CASE WHEN cause = 'slot' AND attempt <= 1 AND isfinite(started_at) AND isfinite(slot)
                            THEN greatest(extract(epoch FROM started_at - slot)::float8, 0) END AS late
                  FROM deleted   -- what has no place in a calendar is deleted and not counted
                 WHERE finished_at BETWEEN clock_timestamp() - interval '62 days' AND clock_timestamp() + interval '1 year') AS d
         GROUP BY 1, 2, 3
        ON CONFLICT (quarter, job, state) DO UPDATE
        SET runs = t.runs + excluded.runs, timed = t.timed + excluded.timed, took_s = t.took_s + excluded.took_s,
            took_max_s = greatest(t.took_max_s, excluded.took_max_s), slots = t.slots + excluded.slots,
            late_s = t.late_s + excluded.late_s, late_max_s = greatest(t.late_max_s, excluded.late_max_s)
    ) SELECT count(*) INTO n FROM deleted;
    DELETE FROM sereno.run_tally WHERE (quarter, job, state) IN (
        SELECT t.quarter, t.job, t.state FROM sereno.run_tally t
         WHERE t.quarter < clock_timestamp() - interval '62 days' ORDER BY t.quarter LIMIT 1000);
    RETURN n;
END $$;
