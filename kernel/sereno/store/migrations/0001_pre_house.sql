-- The first schema: leadership, nodes, jobs, schedules with their versions and watermarks, the ledger of
-- slots, runs with their attempts, progress and log lines. docs/schema.md tells what each is for.

CREATE TABLE sereno.leadership (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Part of a unique key on purpose: a fence takes this row FOR KEY SHARE, a new term must wait for
    -- every open fence, and the heartbeat (which touches no key column) waits for neither.
    term        bigint NOT NULL UNIQUE,
    node        uuid,
    acquired_at timestamptz,
    beat_at     timestamptz
) WITH (fillfactor = 10);
INSERT INTO sereno.leadership (term) VALUES (0);

CREATE TABLE sereno.term (
    term        bigint PRIMARY KEY,
    node        uuid NOT NULL,
    acquired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    reason      text
);

CREATE TABLE sereno.node (
    id         uuid PRIMARY KEY,
    key        integer GENERATED ALWAYS AS IDENTITY,   -- of its presence lock
    label      text NOT NULL,
    pid        integer NOT NULL,
    version    text NOT NULL,
    http       text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    left_at    timestamptz
);
CREATE UNIQUE INDEX node_key ON sereno.node (key);

CREATE TABLE sereno.catalogue (                   -- what the leader registered last, to register it once
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    fingerprint text NOT NULL,
    term        bigint NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE sereno.job (
    name          text PRIMARY KEY,
    plugin        text NOT NULL,
    description   text NOT NULL DEFAULT '',
    policies      jsonb NOT NULL,
    after         text[] NOT NULL DEFAULT '{}',
    params        jsonb,             -- what its params must fit, see sereno.enqueue; null takes any object
    overdue_after interval,
    severity      text NOT NULL DEFAULT 'warning',
    present       boolean NOT NULL DEFAULT true,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE sereno.job_stat (
    job             text PRIMARY KEY,
    succeeded       bigint NOT NULL DEFAULT 0,
    failed          bigint NOT NULL DEFAULT 0,
    timed_out       bigint NOT NULL DEFAULT 0,
    cancelled       bigint NOT NULL DEFAULT 0,
    lost            bigint NOT NULL DEFAULT 0,
    retried         bigint NOT NULL DEFAULT 0,
    late            bigint NOT NULL DEFAULT 0,
    coalesced       bigint NOT NULL DEFAULT 0,
    skipped         bigint NOT NULL DEFAULT 0,
    missed          bigint NOT NULL DEFAULT 0,
    last_success_at timestamptz,
    last_end_at     timestamptz,
    last_state      text,
    last_run        bigint,
    last_duration   interval,
    pruned_run      bigint NOT NULL DEFAULT 0     -- runs up to here may have been deleted by sereno.prune
) WITH (fillfactor = 50);

CREATE TABLE sereno.schedule (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    job           text NOT NULL,
    origin        text NOT NULL CHECK (origin IN ('plugin', 'config', 'user')),
    declared      jsonb NOT NULL,                -- as plugin, config or user wrote it
    overrides     jsonb NOT NULL DEFAULT '{}',   -- what a person changed since
    state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'orphaned', 'removed')),
    paused_until  timestamptz,
    paused_by     text,
    paused_reason text,
    resumed_at    timestamptz,                   -- since when it is active; null: since it was created
    version       integer NOT NULL DEFAULT 1,
    drift         jsonb,                         -- the next slots as last computed, to notice a change
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX schedule_job ON sereno.schedule (job);
CREATE INDEX schedule_active ON sereno.schedule (job, coalesce(resumed_at, created_at)) WHERE state = 'active';
CREATE INDEX schedule_idle ON sereno.schedule (state, job) WHERE state <> 'active';
CREATE INDEX schedule_declared ON sereno.schedule (id) WHERE origin <> 'user';

CREATE TABLE sereno.schedule_version (
    schedule_id bigint NOT NULL REFERENCES sereno.schedule ON DELETE CASCADE,
    version     integer NOT NULL,
    valid_from  timestamptz NOT NULL,            -- slots after this instant follow this version
    state       text NOT NULL,
    trigger     text NOT NULL,
    starts_at   timestamptz,
    ends_at     timestamptz,
    jitter      interval,
    params      jsonb NOT NULL,
    policies    jsonb NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by  text NOT NULL,
    reason      text NOT NULL DEFAULT '',
    PRIMARY KEY (schedule_id, version)
);
CREATE INDEX schedule_version_changed ON sereno.schedule_version (schedule_id) WHERE version > 1;

CREATE TABLE sereno.watermark (
    schedule_id bigint PRIMARY KEY REFERENCES sereno.schedule ON DELETE CASCADE,
    job         text NOT NULL,                   -- its schedule's
    settled_to  timestamptz NOT NULL,            -- every slot up to here has its verdict
    next_slot   timestamptz,                     -- null: none, or not active
    grace       interval,                        -- its own; null: its job's
    due_by      timestamptz,                     -- next_slot and its own grace
    wake_at     timestamptz,                     -- when the leader is to look at it; null: never
    version     integer NOT NULL DEFAULT 1,      -- bumped by every change: a settlement of an old one fails
    open_first  timestamptz,                     -- the range that ends at settled_to and may grow: its key,
    open_what   text                             -- and its verdict and reason
) WITH (fillfactor = 70);
CREATE INDEX watermark_wake ON sereno.watermark (wake_at, schedule_id);
-- What monitors ask of each job, found at one end of an index: its next slot, the soonest end of a grace, and which of
-- its schedules had slots since some instant.
CREATE INDEX watermark_next ON sereno.watermark (job, next_slot) WHERE next_slot IS NOT NULL AND due_by IS NULL;
CREATE INDEX watermark_own_next ON sereno.watermark (job, next_slot) WHERE due_by IS NOT NULL;
CREATE INDEX watermark_own_due ON sereno.watermark (job, due_by) WHERE due_by IS NOT NULL;
CREATE INDEX watermark_settled ON sereno.watermark (job, settled_to);

CREATE TABLE sereno.slot (
    schedule_id bigint NOT NULL,
    slot        timestamptz NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN ('ran', 'late', 'coalesced', 'skipped', 'missed')),
    reason      text,
    run_id      bigint,
    term        bigint NOT NULL,
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (schedule_id, slot)
);

CREATE TABLE sereno.slot_range (
    schedule_id bigint NOT NULL,
    first_slot  timestamptz NOT NULL,
    last_slot   timestamptz NOT NULL,
    slots       bigint NOT NULL CHECK (slots > 0),
    verdict     text NOT NULL CHECK (verdict IN ('coalesced', 'skipped', 'missed')),
    reason      text,
    term        bigint NOT NULL,
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (schedule_id, first_slot)
);
CREATE INDEX slot_range_last ON sereno.slot_range (last_slot);

CREATE TABLE sereno.run (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job             text NOT NULL,
    state           text NOT NULL DEFAULT 'queued'
                    CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'timed_out', 'cancelled', 'lost')),
    cause           text NOT NULL CHECK (cause IN ('slot', 'person', 'program', 'chain', 'retry')),
    schedule_id     bigint,
    slot            timestamptz,
    priority        smallint NOT NULL DEFAULT 0,
    run_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    queued_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempt         integer NOT NULL DEFAULT 0,
    losses          integer NOT NULL DEFAULT 0,
    node            uuid,
    term            bigint,
    started_at      timestamptz,
    finished_at     timestamptz,
    params          jsonb NOT NULL DEFAULT '{}',
    policies        jsonb,                        -- what its schedule overrides of the job's
    result          jsonb,
    error           text,
    traceback       text,
    unique_key      text,
    concurrency_key text,
    upstream        jsonb,
    requested_by    text,
    trace_context   text
) WITH (fillfactor = 80);
CREATE INDEX run_queue ON sereno.run (priority DESC, run_at, id) WHERE state = 'queued';
CREATE INDEX run_later ON sereno.run (run_at) WHERE state = 'queued';
CREATE INDEX run_owned ON sereno.run (node) WHERE state = 'running';
CREATE UNIQUE INDEX run_unique ON sereno.run (job, unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('queued', 'running');
CREATE INDEX run_job ON sereno.run (job, id);
CREATE INDEX run_ended_badly ON sereno.run (id) WHERE state IN ('failed', 'timed_out', 'cancelled', 'lost');
CREATE INDEX run_ended_badly_job ON sereno.run (job, id) WHERE state IN ('failed', 'timed_out', 'cancelled', 'lost');

CREATE TABLE sereno.attempt (                     -- ended attempts that were not the run's last
    run_id      bigint NOT NULL REFERENCES sereno.run ON DELETE CASCADE,
    attempt     integer NOT NULL,
    state       text NOT NULL,
    node        uuid,
    term        bigint,
    started_at  timestamptz,
    finished_at timestamptz,
    error       text,
    traceback   text,
    PRIMARY KEY (run_id, attempt)
);

-- Apart from the run's row, so that a job's fenced transaction (which holds that row) never blocks them.
CREATE TABLE sereno.run_progress (
    run_id     bigint PRIMARY KEY REFERENCES sereno.run ON DELETE CASCADE,
    done       double precision,
    total      double precision,
    note       text,
    checkpoint jsonb,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

CREATE TABLE sereno.cancel_request (
    run_id       bigint PRIMARY KEY REFERENCES sereno.run ON DELETE CASCADE,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    requested_by text NOT NULL,
    reason       text
);

CREATE TABLE sereno.run_log (
    run_id  bigint NOT NULL REFERENCES sereno.run ON DELETE CASCADE,
    attempt integer NOT NULL,
    line    integer NOT NULL,
    at      timestamptz NOT NULL,
    level   text NOT NULL,
    logger  text NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (run_id, attempt, line)
);

CREATE TABLE sereno.chain_arrival (               -- successes that a fan-in has not used yet
    downstream text NOT NULL,
    upstream   text NOT NULL,
    run_id     bigint NOT NULL,
    result     jsonb,
    trace_context text,
    PRIMARY KEY (downstream, upstream)
);

CREATE TABLE sereno.history (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one),
    slots_kept_from timestamptz,                  -- older slots may have been deleted by sereno.prune
    slots_pruned_at bigint NOT NULL DEFAULT 0     -- the schedule at which its last batch of slots ended
);
INSERT INTO sereno.history DEFAULT VALUES;

CREATE TABLE sereno.change (                      -- who changed what, and why
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    by         text NOT NULL,
    subject    text NOT NULL,
    action     text NOT NULL,
    reason     text NOT NULL DEFAULT '',
    before     jsonb,
    after      jsonb
);

-- The grace in the policies of a schedule or job, null where they name none.
CREATE FUNCTION sereno.grace(policies jsonb) RETURNS interval LANGUAGE sql STABLE
RETURN CASE WHEN policies ->> 'grace' LIKE 'P%' THEN (policies ->> 'grace')::interval END;

-- The rules of what may be queued, of one run and of many alike.

CREATE FUNCTION sereno.known_job(job text) RETURNS sereno.job LANGUAGE plpgsql AS $$
DECLARE
    known sereno.job%ROWTYPE;
    near  text;
BEGIN
    SELECT * INTO known FROM sereno.job j WHERE j.name = known_job.job AND j.present;
    IF known.name IS NULL THEN
        SELECT j.name INTO near FROM sereno.job j
         WHERE j.present AND (j.name LIKE '%' || known_job.job || '%' OR known_job.job LIKE '%' || j.name || '%'
               OR split_part(j.name, '.', 1) = split_part(known_job.job, '.', 1))
         ORDER BY abs(length(j.name) - length(known_job.job)), j.name LIMIT 1;
        RAISE EXCEPTION 'unknown job ''%''%', known_job.job, coalesce(', did you mean ''' || near || '''?', '')
            USING ERRCODE = 'no_data_found';
    END IF;
    RETURN known;
END $$;

-- Refuse the first of `params` that the job does not take; `numbered`: the sentence says which one it is.
CREATE FUNCTION sereno.check_params(known sereno.job, params jsonb[], numbered boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    names text[];   -- all that the job takes, null when it takes any
    turn  text[] := '{}';   -- what its concurrency_key is made of
    wrong record;
BEGIN
    IF known.policies ->> 'concurrency_key' IS NOT NULL THEN
        turn := ARRAY(SELECT DISTINCT m[1] FROM regexp_matches(known.policies ->> 'concurrency_key', '\{(\w+)\}', 'g') AS m
                       ORDER BY 1);
    END IF;
    IF known.params IS NULL THEN   -- most jobs; when all fit, as they mostly do, no more is asked
        IF true = ALL (SELECT jsonb_typeof(u.given) IS NOT DISTINCT FROM 'object' AND u.given ?& turn
                         FROM unnest(check_params.params) AS u (given)) THEN
            RETURN;
        END IF;
    ELSE
        names := ARRAY(SELECT k FROM jsonb_object_keys(known.params) AS k ORDER BY k);
    END IF;
    WITH field AS MATERIALIZED (
        SELECT e.key AS name, e.value ->> 'type' AS type, (e.value ->> 'required')::boolean AS required
          FROM jsonb_each(known.params) AS e
    )
    SELECT u.number, f.fault INTO wrong
      FROM unnest(check_params.params) WITH ORDINALITY AS u (given, number), LATERAL (SELECT CASE
               WHEN jsonb_typeof(u.given) IS DISTINCT FROM 'object'
               THEN format('params are a JSON %s, they must be an object', coalesce(jsonb_typeof(u.given), 'null'))
               WHEN u.given - names <> '{}'
               THEN (SELECT format('unknown param ''%s''; it takes %s', k,
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

-- Put the values of each of `params` for their names in the braces of `template`; null without a template.
CREATE FUNCTION sereno.concurrency_keys(template text, params jsonb[]) RETURNS text[] LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    words text[] := regexp_split_to_array(template, '\{\w+\}');
    names text[] := ARRAY(SELECT m[1] FROM regexp_matches(template, '\{(\w+)\}', 'g') AS m);
BEGIN
    RETURN ARRAY(SELECT (SELECT string_agg(t.word || coalesce(u.given ->> t.name, ''), '' ORDER BY t.place)
                           FROM unnest(words, names) WITH ORDINALITY AS t (word, name, place))
                   FROM unnest(params) WITH ORDINALITY AS u (given, number) ORDER BY u.number);
END $$;

-- Queue a run inside the caller's own transaction. `run_at` null: as soon as possible. Returns the run's
-- id; with a `unique_key` that a queued or running run of the job holds already, that run's id.
CREATE FUNCTION sereno.enqueue(
    job           text,
    params        jsonb DEFAULT '{}',
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    unique_key    text DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    known sereno.job%ROWTYPE := sereno.known_job(enqueue.job);
    found bigint;
    turn  text;
BEGIN
    IF octet_length(enqueue.unique_key) > 2000 THEN   -- an index entry has a third of a page
        RAISE EXCEPTION 'job ''%'': the unique_key is of % bytes, it must be of 2000 at most', enqueue.job,
            octet_length(enqueue.unique_key) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM sereno.check_params(known, ARRAY[enqueue.params], numbered => false);
    turn := (sereno.concurrency_keys(known.policies ->> 'concurrency_key', ARRAY[enqueue.params]))[1];
    LOOP
        INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, unique_key, concurrency_key, requested_by,
                                     trace_context)
        VALUES (enqueue.job, enqueue.cause,
                coalesce(enqueue.priority, (known.policies ->> 'priority')::integer, 0),
                coalesce(enqueue.run_at, clock_timestamp()), enqueue.params, enqueue.unique_key, turn,
                coalesce(enqueue.requested_by, session_user), enqueue.trace_context)
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
-- for every one of them. Returns their ids in the order of `params`.
CREATE FUNCTION sereno.enqueue_many(
    job           text,
    params        jsonb[],
    run_at        timestamptz DEFAULT NULL,
    priority      integer DEFAULT NULL,
    requested_by  text DEFAULT NULL,
    cause         text DEFAULT 'program',
    trace_context text DEFAULT NULL
) RETURNS SETOF bigint LANGUAGE plpgsql
SET jit = off   -- compiling took longer than the work, however many there are
AS $$
DECLARE
    known sereno.job%ROWTYPE := sereno.known_job(enqueue_many.job);
    turns text[];
    level integer := coalesce(enqueue_many.priority, (known.policies ->> 'priority')::integer, 0);
    due   timestamptz := coalesce(enqueue_many.run_at, clock_timestamp());
    asker text := coalesce(enqueue_many.requested_by, session_user);
BEGIN
    IF enqueue_many.params IS NULL THEN
        RAISE EXCEPTION 'job ''%'': params are null, they must be an array of objects', enqueue_many.job
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM sereno.check_params(known, enqueue_many.params, numbered => true);
    turns := sereno.concurrency_keys(known.policies ->> 'concurrency_key', enqueue_many.params);
    RETURN QUERY
        INSERT INTO sereno.run AS r (job, cause, priority, run_at, params, concurrency_key, requested_by, trace_context)
        SELECT enqueue_many.job, enqueue_many.cause, level, due, u.given, u.turn, asker, enqueue_many.trace_context
          FROM unnest(enqueue_many.params, turns) WITH ORDINALITY AS u (given, turn, number) ORDER BY u.number
        RETURNING r.id;
    IF FOUND THEN
        PERFORM pg_notify('sereno', 'run');
    END IF;
END $$;

-- Delete runs, with all that is theirs; their jobs note how far. Returns how many there were.
CREATE FUNCTION sereno.delete_runs(ids bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    n integer;
BEGIN
    WITH deleted AS (
        DELETE FROM sereno.run r WHERE r.id = ANY (ids) RETURNING r.job, r.id
    ), noted AS (
        UPDATE sereno.job_stat j SET pruned_run = greatest(j.pruned_run, d.id)
          FROM (SELECT job, max(id) AS id FROM deleted GROUP BY job) d WHERE j.job = d.job
    ) SELECT count(*) INTO n FROM deleted;
    RETURN n;
END $$;

-- Delete history in one small batch: final runs (with their attempts, logs, progress) that are older than
-- `older_than` or beyond the newest `keep_per_job` of their job, then slots and ranges older than
-- `older_than`, then what no kept row needs any more: changes, versions of schedules, schedules that were
-- removed, terms, nodes. Returns how many rows it deleted; 0 when there is nothing left to do.
CREATE FUNCTION sereno.prune(older_than interval, keep_per_job integer, batch integer DEFAULT 1000)
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
    -- From the oldest on, no further than to runs that were queued after `since`: however many younger ones are kept.
    FOR run IN SELECT r.id, r.state, r.finished_at, r.queued_at FROM sereno.run r ORDER BY r.id LOOP
        EXIT WHEN cardinality(old) >= left_ OR run.queued_at >= since + interval '1 hour';
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
    IF left_ > 0 THEN   -- the newest stays: monitors tell since when nothing has changed
        WITH oldest AS (
            SELECT c.id, c.at FROM sereno.change c ORDER BY c.id LIMIT left_
        )
        DELETE FROM sereno.change c USING oldest o
         WHERE c.id = o.id AND o.at < since AND c.id < (SELECT max(x.id) FROM sereno.change x);
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
