-- What comes from outside is held to what everybody who reads it can hold, by a caller who needs EXECUTE alone and is
-- recorded as who it is; and the trail of changes has a time of its own.

-- The duration that `said` is, as policies keep one, and the number; null where it is none, or too large to be added to
-- anything. One bad row may not fail a statement that reads all of them. (Whole seconds, as most are, without a pattern,
-- which costs ten times as much.)
CREATE FUNCTION sereno.duration(said text) RETURNS interval LANGUAGE sql STABLE
RETURN CASE WHEN said LIKE 'PT_%S' AND length(said) <= 14 AND translate(said, '0123456789', '') = 'PTS'
            THEN make_interval(secs => substr(said, 3, length(said) - 3)::double precision)
            WHEN said ~ '^P(\d{1,7}D)?(T(\d{1,8}H)?(\d{1,9}M)?(\d{1,11}(\.\d{1,9})?S)?)?$' AND said !~ '[PT]$'
            THEN said::interval END;
CREATE FUNCTION sereno.whole(said text) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE WHEN said ~ '^-?\d{1,18}$' THEN said::bigint END;

CREATE OR REPLACE FUNCTION sereno.grace(policies jsonb) RETURNS interval LANGUAGE sql STABLE
RETURN sereno.duration(policies ->> 'grace');

-- The priority in the policies of a schedule or job, null where they name none that a run can have.
CREATE FUNCTION sereno.priority(policies jsonb) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE WHEN sereno.whole(policies ->> 'priority') BETWEEN -32768 AND 32767
            THEN sereno.whole(policies ->> 'priority')::integer END;

-- What about `given`, JSON of any shape, no reader could hold; null: nothing. The bounds are those of model/bounds.py.
-- What is not that long cannot be too large.
CREATE FUNCTION sereno.json_fault(given jsonb) RETURNS text LANGUAGE sql STABLE
RETURN CASE
    WHEN CASE WHEN pg_column_size(given) > 20000 THEN octet_length(given::text) END > 1000000
    THEN format('are of %s bytes, they may be of 1000000 at most; keep what is larger elsewhere, and its key in them',
                octet_length(given::text))
    WHEN jsonb_path_exists(given, 'strict $.**{100} ? (@.type() == "object" || @.type() == "array")')
    THEN 'are more than 100 levels deep, which no reader could be sure to hold'
    WHEN jsonb_path_exists(given, 'strict $.** ? (@.type() == "number" &&
                                   (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))')
    THEN 'hold a number beyond 1.8e308, which no reader could hold; write it as a text'
END;

-- What about the param `name`, given as `value`, goes against its limits; null: nothing. `limits` are those of a
-- Struct's field that mean the same here (docs/schema.md lists them); what JSON the value is has been looked at.
CREATE FUNCTION sereno.limit_fault(name text, value jsonb, limits jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    kind text := jsonb_typeof(value);
    said text := left(value::text, 60);
    number numeric;
    size bigint;
BEGIN
    IF limits ? 'enum' AND NOT limits -> 'enum' @> jsonb_build_array(value) THEN
        RETURN format('param ''%s'' is %s, it must be one of %s', name, said, limits ->> 'enum');
    END IF;
    IF kind = 'number' THEN
        number := value::text::numeric;
        RETURN CASE
            WHEN (limits ->> 'whole')::boolean AND number <> trunc(number)
            THEN format('param ''%s'' is %s, it must be a whole number', name, said)
            WHEN number < (limits ->> 'min')::numeric
            THEN format('param ''%s'' is %s, it must be at least %s', name, said, limits ->> 'min')
            WHEN number <= (limits ->> 'above')::numeric
            THEN format('param ''%s'' is %s, it must be more than %s', name, said, limits ->> 'above')
            WHEN number > (limits ->> 'max')::numeric
            THEN format('param ''%s'' is %s, it must be at most %s', name, said, limits ->> 'max')
            WHEN number >= (limits ->> 'below')::numeric
            THEN format('param ''%s'' is %s, it must be less than %s', name, said, limits ->> 'below')
            WHEN number % (limits ->> 'multiple')::numeric <> 0
            THEN format('param ''%s'' is %s, it must be a multiple of %s', name, said, limits ->> 'multiple')
        END;
    END IF;
    size := CASE kind WHEN 'string' THEN length(value #>> '{}') WHEN 'array' THEN jsonb_array_length(value) END;
    RETURN CASE
        WHEN size < (limits ->> 'shortest')::bigint
        THEN format('param ''%s'' is of length %s, it must be of %s at least', name, size, limits ->> 'shortest')
        WHEN size > (limits ->> 'longest')::bigint
        THEN format('param ''%s'' is of length %s, it must be of %s at most', name, size, limits ->> 'longest')
        -- Of other texts the two kinds of patterns may not think alike: the run looks at those itself.
        WHEN kind = 'string' AND value #>> '{}' ~ '^[ -~]*$' AND value #>> '{}' !~ (limits ->> 'pattern')
        THEN format('param ''%s'' is %s, it must match %s', name, said, limits ->> 'pattern')
    END;
END $$;

CREATE OR REPLACE FUNCTION sereno.known_job(job text) RETURNS sereno.job LANGUAGE plpgsql AS $$
DECLARE
    known sereno.job%ROWTYPE;
    near  text;
BEGIN
    SELECT * INTO known FROM sereno.job j WHERE j.name = known_job.job AND j.present;
    IF known.name IS NULL THEN
        SELECT j.name INTO near FROM sereno.job j
         WHERE j.present AND length(known_job.job) <= 200
           AND (position(known_job.job IN j.name) > 0 OR position(j.name IN known_job.job) > 0
               OR split_part(j.name, '.', 1) = split_part(known_job.job, '.', 1))
         ORDER BY abs(length(j.name) - length(known_job.job)), j.name LIMIT 1;
        RAISE EXCEPTION 'unknown job ''%''%', left(known_job.job, 200),
            coalesce(', did you mean ''' || near || '''?', '') USING ERRCODE = 'no_data_found';
    END IF;
    RETURN known;
END $$;

-- Refuse the first of `params` that the job does not take, or that nobody could read; `numbered`: the sentence says
-- which one it is. What is known of the job's params is what the leader has registered, of this version or the one
-- before, which tells no limits.
CREATE OR REPLACE FUNCTION sereno.check_params(known sereno.job, params jsonb[], numbered boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    names text[];   -- all that the job takes, null when it takes any
    turn  text[] := '{}';   -- what its concurrency_key is made of
    wrong record;
BEGIN
    IF known.policies ->> 'concurrency_key' IS NOT NULL THEN
        turn := ARRAY(SELECT DISTINCT m[1]
                        FROM regexp_matches(known.policies ->> 'concurrency_key', '\{(\w+)\}', 'g') AS m ORDER BY 1);
    END IF;
    IF known.params IS NULL THEN   -- most jobs; when all fit, as they mostly do, no more is asked
        IF true = ALL (SELECT jsonb_typeof(u.given) IS NOT DISTINCT FROM 'object' AND u.given ?& turn
                              AND sereno.json_fault(u.given) IS NULL
                         FROM unnest(check_params.params) AS u (given)) THEN
            RETURN;
        END IF;
    ELSE
        names := ARRAY(SELECT k FROM jsonb_object_keys(known.params) AS k ORDER BY k);
    END IF;
    WITH field AS MATERIALIZED (
        SELECT e.key AS name, e.value ->> 'type' AS type, (e.value ->> 'required')::boolean AS required,
               e.value -> 'limits' AS limits
          FROM jsonb_each(known.params) AS e
    )
    SELECT u.number, f.fault INTO wrong
      FROM unnest(check_params.params) WITH ORDINALITY AS u (given, number), LATERAL (SELECT CASE
               WHEN jsonb_typeof(u.given) IS DISTINCT FROM 'object'
               THEN format('params are a JSON %s, they must be an object', coalesce(jsonb_typeof(u.given), 'null'))
               WHEN sereno.json_fault(u.given) IS NOT NULL THEN format('params %s', sereno.json_fault(u.given))
               WHEN u.given - names <> '{}'
               THEN (SELECT format('unknown param ''%s''; it takes %s', left(k, 200),
                                   coalesce(nullif(array_to_string(names, ', '), ''), 'none'))
                       FROM jsonb_object_keys(u.given - names) AS k LIMIT 1)
               ELSE coalesce(
                   (SELECT CASE WHEN u.given ? d.name
                                THEN format('param ''%s'' is a JSON %s, it must be a %s', d.name,
                                            jsonb_typeof(u.given -> d.name), d.type)
                                ELSE format('param ''%s'' is missing', d.name) END
                      FROM field AS d
                     WHERE CASE WHEN u.given ? d.name THEN jsonb_typeof(u.given -> d.name) <> d.type
                                ELSE d.required END
                     LIMIT 1),
                   (SELECT sereno.limit_fault(d.name, u.given -> d.name, d.limits) FROM field AS d
                     WHERE jsonb_typeof(d.limits) = 'object' AND u.given ? d.name
                       AND sereno.limit_fault(d.name, u.given -> d.name, d.limits) IS NOT NULL
                     LIMIT 1),
                   CASE WHEN NOT u.given ?& turn
                        THEN (SELECT format('param ''%s'' is missing, which its concurrency_key names', k)
                                FROM unnest(turn) AS k WHERE NOT u.given ? k LIMIT 1) END)
               END AS fault) AS f
     WHERE f.fault IS NOT NULL ORDER BY u.number LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'job ''%'': %', known.name,
            CASE WHEN numbered THEN format('params %s: ', wrong.number) ELSE '' END || wrong.fault
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

-- Refuse what no run can have. Instants are those that Python holds in every time zone.
CREATE FUNCTION sereno.check_run(job text, run_at timestamptz, priority integer, cause text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF check_run.run_at NOT BETWEEN '0001-01-02T00:00:00.000001Z' AND '9999-12-30T23:59:59.999998Z' THEN
        RAISE EXCEPTION 'job ''%'': run_at is %, it must lie in the years 1 to 9999, a day from either end; %', job,
            check_run.run_at, 'leave it out to run as soon as may be' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF check_run.priority NOT BETWEEN -32768 AND 32767 THEN
        RAISE EXCEPTION 'job ''%'': priority is %, it must be from -32768 to 32767', job, check_run.priority
            USING ERRCODE = 'numeric_value_out_of_range';
    END IF;
    IF check_run.cause NOT IN ('slot', 'person', 'program', 'chain', 'retry') THEN
        RAISE EXCEPTION 'job ''%'': cause is ''%'', it must be person, program, chain, retry or slot', job,
            left(check_run.cause, 60) USING ERRCODE = 'check_violation';
    END IF;
END $$;

-- Who asks for a run, as it is recorded. Whoever may write runs themselves may speak for others, as the kernel does for
-- the person at its doors; who may only call is a program, and recorded by the name of its role.
CREATE FUNCTION sereno.asker(job text, requested_by text, cause text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    role text := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
    IF coalesce(requested_by = session_user, true) AND cause = 'program' THEN
        RETURN session_user;
    END IF;
    IF NOT (has_table_privilege(session_user, 'sereno.run', 'INSERT')
            OR has_table_privilege(role, 'sereno.run', 'INSERT')) THEN
        RAISE EXCEPTION 'job ''%'': role ''%'' may not say % of a run, it is asked for by that role; leave it out',
            job, role, CASE WHEN cause = 'program' THEN 'requested_by' ELSE 'the cause' END
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN coalesce(requested_by, session_user);
END $$;

-- Queue a run inside the caller's own transaction. `run_at` null: as soon as possible. Returns the run's
-- id; with a `unique_key` that a queued or running run of the job holds already, that run's id.
-- Works with its owner's rights: EXECUTE is all that its callers need, and a search_path of theirs changes nothing.
CREATE OR REPLACE FUNCTION sereno.enqueue(
    job           text,
    params        jsonb DEFAULT '{}',
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    unique_key    text DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known sereno.job%ROWTYPE := sereno.known_job(enqueue.job);
    why   text := coalesce(enqueue.cause, 'program');
    asker text := sereno.asker(enqueue.job, enqueue.requested_by, why);
    found bigint;
    turn  text;
BEGIN
    IF octet_length(enqueue.unique_key) > 2000 THEN   -- an index entry has a third of a page
        RAISE EXCEPTION 'job ''%'': the unique_key is of % bytes, it must be of 2000 at most', enqueue.job,
            octet_length(enqueue.unique_key) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM sereno.check_run(enqueue.job, enqueue.run_at, enqueue.priority, why);
    PERFORM sereno.check_params(known, ARRAY[enqueue.params], numbered => false);
    turn := (sereno.concurrency_keys(known.policies ->> 'concurrency_key', ARRAY[enqueue.params]))[1];
    LOOP
        INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, unique_key, concurrency_key, requested_by,
                                     trace_context)
        VALUES (enqueue.job, why, coalesce(enqueue.priority, sereno.priority(known.policies), 0),
                coalesce(enqueue.run_at, clock_timestamp()), enqueue.params, enqueue.unique_key, turn, asker,
                left(enqueue.trace_context, 16384))
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
CREATE OR REPLACE FUNCTION sereno.enqueue_many(
    job           text,
    params        jsonb[],
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL
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
BEGIN
    IF enqueue_many.params IS NULL THEN
        RAISE EXCEPTION 'job ''%'': params are null, they must be an array of objects', enqueue_many.job
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM sereno.check_run(enqueue_many.job, enqueue_many.run_at, enqueue_many.priority, why);
    PERFORM sereno.check_params(known, enqueue_many.params, numbered => true);
    turns := sereno.concurrency_keys(known.policies ->> 'concurrency_key', enqueue_many.params);
    RETURN QUERY
        INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, concurrency_key, requested_by, trace_context)
        SELECT enqueue_many.job, why, level, due, u.given, u.turn, asker, left(enqueue_many.trace_context, 16384)
          FROM unnest(enqueue_many.params, turns) WITH ORDINALITY AS u (given, turn, number) ORDER BY u.number
        RETURNING r.id;
    IF FOUND THEN
        PERFORM pg_notify('sereno', 'run');
    END IF;
END $$;

-- Who reads the schema is no caller; who could queue runs by rights of its own may go on.
REVOKE EXECUTE ON FUNCTION sereno.enqueue(text, jsonb, timestamptz, integer, text, text, text, text),
                           sereno.enqueue_many(text, jsonb[], timestamptz, integer, text, text, text) FROM PUBLIC;
DO $$
DECLARE
    able record;
BEGIN
    FOR able IN SELECT r.rolname FROM pg_roles r
                 WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND has_schema_privilege(r.oid, 'sereno', 'USAGE')
                   AND has_table_privilege(r.oid, 'sereno.run', 'INSERT') LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION
                            sereno.enqueue(text, jsonb, timestamptz, integer, text, text, text, text),
                            sereno.enqueue_many(text, jsonb[], timestamptz, integer, text, text, text) TO %I',
                       able.rolname);
    END LOOP;
END $$;

-- Delete history in one small batch: final runs (with their attempts, logs, progress) that are older than
-- `older_than` or beyond the newest `keep_per_job` of their job, then slots and ranges older than
-- `older_than`, changes older than `keep_changes`, then what no kept row needs any more: versions of schedules,
-- schedules that were removed, terms, nodes. Returns how many rows it deleted; 0 when there is nothing left to do.
DROP FUNCTION sereno.prune(interval, integer, integer);
CREATE FUNCTION sereno.prune(
    older_than interval, keep_per_job integer, batch integer DEFAULT 1000, keep_changes interval DEFAULT '730 days'
)
RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off   -- a batch reads what it deletes, not what is kept
AS $$
DECLARE
    n       integer;
    left_   integer := batch;
    since   timestamptz := clock_timestamp() - older_than;
    unnamed timestamptz;   -- what was over by then no kept row can name
    slots_gone boolean := false;
    run     record;
    old     bigint[] := '{}';
    slots   timestamptz[];
    place   bigint;
BEGIN
    IF older_than <= interval '0' OR keep_per_job < 0 OR batch < 1 THEN
        RAISE EXCEPTION 'prune: older_than must be positive, keep_per_job not negative, batch at least 1'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF keep_changes <= interval '0' THEN
        RAISE EXCEPTION 'prune: keep_changes must be positive' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- From the oldest on, no further than to runs that were queued after `since`: however many younger ones are kept.
    FOR run IN SELECT r.id, r.state, r.finished_at, r.queued_at FROM sereno.run r ORDER BY r.id LOOP
        EXIT WHEN cardinality(old) >= left_
            OR run.queued_at BETWEEN since + interval '1 hour' AND clock_timestamp() + interval '1 year';
        IF run.state NOT IN ('queued', 'running') AND run.finished_at < since THEN
            old := old || run.id;
        END IF;
    END LOOP;
    left_ := left_ - sereno.delete_runs(old);
    IF left_ > 0 THEN
        -- Pairs are compared so that (job, id) is the way: the planner may think that a job's runs are soon met by id.
        WITH oldest AS MATERIALIZED (   -- once a job, not once a run
            SELECT j.name AS job, (SELECT CASE x.job WHEN j.name THEN x.id END
                                     FROM (SELECT r.job, r.id FROM sereno.run r
                                            WHERE (r.job, r.id) <= (j.name, 9223372036854775807)
                                            ORDER BY r.job DESC, r.id DESC OFFSET keep_per_job LIMIT 1) AS x) AS id
              FROM sereno.job j
        )
        SELECT coalesce(array_agg(x.id), '{}') INTO old
          FROM (SELECT s.id
                  FROM oldest o, LATERAL (SELECT r.id FROM sereno.run r
                                           WHERE (r.job, r.id) > (o.job, 0) AND (r.job, r.id) <= (o.job, o.id)
                                             AND r.state NOT IN ('queued', 'running')
                                           ORDER BY r.job, r.id LIMIT left_) AS s
                 WHERE o.id IS NOT NULL LIMIT left_) AS x;
        left_ := left_ - sereno.delete_runs(old);
    END IF;
    IF left_ > 0 THEN   -- schedule by schedule, from where the last batch ended, once round: the primary key is the way
        SELECT h.slots_pruned_at INTO place FROM sereno.history h;
        SELECT coalesce(array_agg(x.schedule_id), '{}'), array_agg(x.slot) INTO old, slots
          FROM (SELECT o.schedule_id, o.slot
                  FROM ((SELECT a.id FROM sereno.schedule a WHERE a.id >= place ORDER BY a.id) UNION ALL
                        (SELECT b.id FROM sereno.schedule b WHERE b.id < place ORDER BY b.id)) AS c,
                       LATERAL (SELECT s.schedule_id, s.slot FROM sereno.slot s
                                 WHERE s.schedule_id = c.id AND s.slot < since ORDER BY s.slot LIMIT left_) AS o
                 LIMIT left_) AS x;
        n := cardinality(old);
        IF n > 0 THEN
            DELETE FROM sereno.slot s USING unnest(old, slots) AS o (schedule_id, slot)
             WHERE s.schedule_id = o.schedule_id AND s.slot = o.slot;
            UPDATE sereno.history SET slots_pruned_at = old[n];
        END IF;
        left_ := left_ - n;
        slots_gone := slots_gone OR n > 0;
    END IF;
    IF left_ > 0 THEN
        WITH old AS (
            SELECT schedule_id, first_slot FROM sereno.slot_range WHERE last_slot < since LIMIT left_
        )
        DELETE FROM sereno.slot_range r USING old
         WHERE r.schedule_id = old.schedule_id AND r.first_slot = old.first_slot;
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
        slots_gone := slots_gone OR n > 0;
    END IF;
    IF left_ > 0 THEN   -- the trail; its newest stays: monitors tell since when nothing has changed
        WITH oldest AS (
            SELECT c.id, c.at FROM sereno.change c ORDER BY c.id LIMIT left_
        )
        DELETE FROM sereno.change c USING oldest o
         WHERE c.id = o.id AND o.at < clock_timestamp() - keep_changes AND c.id < (SELECT max(x.id) FROM sereno.change x);
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
    END IF;
    -- Of a schedule stay the version that ruled when what is kept began (or, if that is earlier, where its
    -- settling stands), all since then, a pause that still goes on from its beginning, and when it ended last.
    IF left_ > 0 THEN
        WITH ruling AS (
            SELECT w.schedule_id, (SELECT max(v.version) FROM sereno.schedule_version v
                                    WHERE v.schedule_id = w.schedule_id AND v.state <> 'paused'
                                      AND v.valid_from <= least(since, w.settled_to)) AS version,
                   (SELECT max(v.version) FROM sereno.schedule_version v
                     WHERE v.schedule_id = w.schedule_id AND v.state <> 'active') AS idle
              FROM sereno.watermark w
             WHERE w.schedule_id IN (SELECT c.schedule_id FROM sereno.schedule_version c WHERE c.version > 1)
        ), old AS (
            SELECT v.schedule_id, v.version FROM ruling r JOIN sereno.schedule_version v USING (schedule_id)
             WHERE v.version < r.version AND (r.idle IS NULL OR v.version NOT IN (r.idle, r.idle + 1)) LIMIT left_
        )
        DELETE FROM sereno.schedule_version v USING old
         WHERE v.schedule_id = old.schedule_id AND v.version = old.version;
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
        slots_gone := slots_gone OR n > 0;
    END IF;
    IF slots_gone THEN
        UPDATE sereno.history SET slots_kept_from = greatest(slots_kept_from, since);
    END IF;
    -- Runs get their ids as they are queued, and what owns or decides them comes later; so what was over an hour
    -- before the oldest kept run was queued is named by runs that are not over alone. Slots before `since` are gone.
    unnamed := least(since, (SELECT r.queued_at FROM sereno.run r WHERE r.state NOT IN ('queued', 'running')
                              ORDER BY r.id LIMIT 1)) - interval '1 hour';
    IF left_ > 0 THEN
        WITH old AS (
            SELECT s.id FROM sereno.schedule s JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
             WHERE s.state = 'removed' AND v.valid_from < unnamed
               AND NOT EXISTS (SELECT 1 FROM sereno.slot k WHERE k.schedule_id = s.id)
               AND NOT EXISTS (SELECT 1 FROM sereno.slot_range g WHERE g.schedule_id = s.id)
               AND NOT EXISTS (SELECT 1 FROM sereno.run r WHERE r.schedule_id = s.id AND r.state = 'queued')
               AND NOT EXISTS (SELECT 1 FROM sereno.run r WHERE r.schedule_id = s.id AND r.state = 'running')
             LIMIT left_
        )
        DELETE FROM sereno.schedule s USING old WHERE s.id = old.id;
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
    END IF;
    IF left_ > 0 THEN
        WITH busy AS (
            SELECT r.id, r.term FROM sereno.run r WHERE r.state = 'queued'
            UNION ALL SELECT r.id, r.term FROM sereno.run r WHERE r.state = 'running'
        ), old AS (
            SELECT t.term FROM sereno.term t
             WHERE t.ended_at < unnamed
               AND NOT EXISTS (SELECT 1 FROM sereno.leadership l WHERE l.term = t.term)
               AND NOT EXISTS (SELECT 1 FROM sereno.catalogue c WHERE c.term = t.term)
               AND NOT EXISTS (SELECT 1 FROM sereno.slot_range g WHERE g.term = t.term)
               AND NOT EXISTS (SELECT 1 FROM busy WHERE busy.term = t.term)
               AND NOT EXISTS (SELECT 1 FROM busy JOIN sereno.attempt a ON a.run_id = busy.id WHERE a.term = t.term)
             LIMIT left_
        )
        DELETE FROM sereno.term t USING old WHERE t.term = old.term;
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
    END IF;
    IF left_ > 0 THEN
        WITH busy AS (
            SELECT r.id, r.node FROM sereno.run r WHERE r.state = 'queued'
            UNION ALL SELECT r.id, r.node FROM sereno.run r WHERE r.state = 'running'
        ), old AS (
            SELECT d.id FROM sereno.node d
             WHERE d.seen_at < unnamed
               AND NOT EXISTS (SELECT 1 FROM sereno.leadership l WHERE l.node = d.id)
               AND NOT EXISTS (SELECT 1 FROM sereno.term t WHERE t.node = d.id)
               AND NOT EXISTS (SELECT 1 FROM busy WHERE busy.node = d.id)
               AND NOT EXISTS (SELECT 1 FROM busy JOIN sereno.attempt a ON a.run_id = busy.id WHERE a.node = d.id)
             LIMIT left_
        )
        DELETE FROM sereno.node d USING old WHERE d.id = old.id;
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
    END IF;
    RETURN batch - left_;
END $$;
