-- Fan-out: a run queues a run of another job for each of many params, its children, and one run more once all are over.
--
-- Whoever ends a child need know nothing of it: the table counts, once a transaction, as that commits. So replicas of the
-- version before end children as well, and whoever fans nothing out pays for one null that is looked at.

CREATE TABLE sereno.fan_out (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id       bigint NOT NULL,               -- that fanned out
    key          text NOT NULL,                 -- once a run and key, however often that is tried
    job          text NOT NULL,                 -- of the children
    join_job     text,                          -- queued once all are over; null: nothing is
    join_params  jsonb,
    on_failure   text NOT NULL CHECK (on_failure IN ('fail', 'continue')),
    total        bigint NOT NULL,
    ended        bigint NOT NULL DEFAULT 0,
    failed       bigint NOT NULL DEFAULT 0,     -- of those, the ones that did not succeed
    rounds       integer NOT NULL DEFAULT 1,    -- one more each time that failed children are tried again together
    first_run    bigint,                        -- its children lie between, and name it
    last_run     bigint,
    join_run     bigint,                        -- of the newest round
    cancelled_by text,                          -- then nothing follows
    trace_context text,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz,
    UNIQUE (run_id, key)
) WITH (fillfactor = 50);

ALTER TABLE sereno.run ADD COLUMN fan_out bigint;   -- whose child it is

-- Queue the run that follows once all children of a fan-out are over.
CREATE FUNCTION sereno.fan_out_join(fan bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f     sereno.fan_out%ROWTYPE;
    rules jsonb;
    made  bigint;
BEGIN
    SELECT * INTO f FROM sereno.fan_out o WHERE o.id = fan;
    IF f.join_job IS NULL OR f.join_run IS NOT NULL OR f.cancelled_by IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT j.policies INTO rules FROM sereno.job j WHERE j.name = f.join_job;
    INSERT INTO sereno.run (job, cause, priority, params, upstream, concurrency_key, requested_by, trace_context)
    VALUES (f.join_job, 'chain', coalesce(sereno.priority(rules), 0), coalesce(f.join_params, '{}'),
            jsonb_build_object('fan-out', jsonb_build_object(
                'id', f.id, 'run_id', f.run_id, 'job', f.job, 'total', f.total, 'succeeded', f.total - f.failed,
                'failed', f.failed, 'on_failure', f.on_failure,
                'failed_runs', (SELECT coalesce(jsonb_agg(x.id), '[]')
                                  FROM (SELECT r.id FROM sereno.run r
                                         WHERE f.failed > 0 AND r.id BETWEEN f.first_run AND f.last_run AND r.fan_out = f.id
                                           AND r.state NOT IN ('queued', 'running', 'succeeded')
                                         ORDER BY r.id LIMIT 100) AS x))),
            (sereno.concurrency_keys(rules ->> 'concurrency_key', ARRAY[coalesce(f.join_params, '{}')]))[1],
            'run ' || f.run_id, f.trace_context)
    RETURNING id INTO made;
    UPDATE sereno.fan_out o SET join_run = made WHERE o.id = fan;
    PERFORM pg_notify('sereno', 'run');
END $$;

-- Read what a transaction has noted so far.
CREATE FUNCTION sereno.fan_outs_noted(noted text, OUT id bigint, OUT ended bigint, OUT failed bigint) RETURNS SETOF record
LANGUAGE sql IMMUTABLE AS $$
    SELECT split_part(t, ':', 1)::bigint, sum(split_part(t, ':', 2)::bigint)::bigint, sum(split_part(t, ':', 3)::bigint)::bigint
      FROM string_to_table(rtrim(noted), ' ') AS t GROUP BY 1 ORDER BY 1
$$;

-- Note a child that has ended, for the count as this transaction commits: one update a fan-out, however many they are, and
-- its row is locked for no longer than that.
CREATE FUNCTION sereno.fan_out_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted text := coalesce(current_setting('sereno.fan_out_ended', true), '');
    more  text := noted || CASE WHEN TG_OP = 'DELETE' THEN OLD.fan_out || ':1:1 '
                                WHEN NEW.state = 'succeeded' THEN NEW.fan_out || ':1:0 '
                                ELSE NEW.fan_out || ':1:1 ' END;
BEGIN
    IF length(more) / 4000 > length(noted) / 4000 THEN   -- a hundred thousand in one statement stay short
        SELECT string_agg(c.id || ':' || c.ended || ':' || c.failed || ' ', '') INTO more
          FROM sereno.fan_outs_noted(more) AS c;
    END IF;
    PERFORM set_config('sereno.fan_out_ended', more, true);
    RETURN NULL;
END $$;

CREATE FUNCTION sereno.fan_out_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted text := current_setting('sereno.fan_out_ended', true);
    one   record;
    over  boolean;
BEGIN
    IF coalesce(noted, '') = '' THEN   -- the first child of this transaction has counted all
        RETURN NULL;
    END IF;
    PERFORM set_config('sereno.fan_out_ended', '', true);
    FOR one IN SELECT * FROM sereno.fan_outs_noted(noted) LOOP
        UPDATE sereno.fan_out f SET ended = f.ended + one.ended, failed = f.failed + one.failed,
               ended_at = CASE WHEN f.ended + one.ended >= f.total THEN clock_timestamp() END
         WHERE f.id = one.id RETURNING f.ended >= f.total INTO over;
        IF over THEN
            PERFORM sereno.fan_out_join(one.id);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER fan_out_note AFTER UPDATE OF state ON sereno.run FOR EACH ROW
    WHEN (NEW.fan_out IS NOT NULL AND OLD.state IN ('queued', 'running') AND NEW.state NOT IN ('queued', 'running'))
    EXECUTE FUNCTION sereno.fan_out_note();
CREATE TRIGGER fan_out_note_deleted AFTER DELETE ON sereno.run FOR EACH ROW
    WHEN (OLD.fan_out IS NOT NULL AND OLD.state IN ('queued', 'running'))
    EXECUTE FUNCTION sereno.fan_out_note();
CREATE CONSTRAINT TRIGGER fan_out_zz_count AFTER UPDATE OF state ON sereno.run DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.fan_out IS NOT NULL AND OLD.state IN ('queued', 'running') AND NEW.state NOT IN ('queued', 'running'))
    EXECUTE FUNCTION sereno.fan_out_count();
CREATE CONSTRAINT TRIGGER fan_out_zz_count_deleted AFTER DELETE ON sereno.run DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.fan_out IS NOT NULL AND OLD.state IN ('queued', 'running'))
    EXECUTE FUNCTION sereno.fan_out_count();

-- Fan a run out, in the transaction that fences it: once a run and key, whatever is given later. Children have a lower turn
-- than other runs of their job's priority, where none is said.
CREATE FUNCTION sereno.fan_out(
    parent bigint, job text, params jsonb[], join_job text, join_params jsonb, on_failure text, key text, priority integer,
    trace_context text, OUT id bigint, OUT total bigint, OUT is_new boolean
) LANGUAGE plpgsql
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    known sereno.job%ROWTYPE := sereno.known_job(fan_out.job);
    then_ sereno.job%ROWTYPE;
    level integer := coalesce(fan_out.priority, greatest(coalesce(sereno.priority(known.policies), 0) - 1, -32768));
    other text;
BEGIN
    PERFORM sereno.check_run(fan_out.job, NULL, fan_out.priority, 'program');
    PERFORM sereno.check_params(known, fan_out.params, numbered => true);
    IF fan_out.join_job IS NOT NULL THEN
        then_ := sereno.known_job(fan_out.join_job);
        PERFORM sereno.check_params(then_, ARRAY[coalesce(fan_out.join_params, '{}')], numbered => false);
    END IF;
    IF EXISTS (SELECT 1 FROM sereno.cancel_request c WHERE c.run_id = parent AND c.chain) THEN
        RAISE EXCEPTION 'run % fans nothing out: its whole chain is cancelled', parent USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO sereno.fan_out AS f (run_id, key, job, join_job, join_params, on_failure, total, trace_context)
    VALUES (parent, coalesce(fan_out.key, ''), fan_out.job, fan_out.join_job, fan_out.join_params, fan_out.on_failure,
            cardinality(fan_out.params), left(fan_out.trace_context, 16384))
    ON CONFLICT (run_id, key) DO NOTHING RETURNING f.id, f.total INTO id, total;
    is_new := id IS NOT NULL;
    IF NOT is_new THEN
        SELECT f.id, f.total, f.job INTO id, total, other FROM sereno.fan_out f
         WHERE f.run_id = parent AND f.key = coalesce(fan_out.key, '');
        IF other <> fan_out.job THEN
            RAISE EXCEPTION 'run % has fanned out to job ''%'' under the key ''%'' already; give another key', parent, other,
                coalesce(fan_out.key, '') USING ERRCODE = 'invalid_parameter_value';
        END IF;
        RETURN;
    END IF;
    WITH made AS (
        INSERT INTO sereno.run AS r (job, cause, priority, params, concurrency_key, requested_by, trace_context, fan_out)
        SELECT fan_out.job, 'chain', level, u.given, u.turn, 'run ' || parent, left(fan_out.trace_context, 16384), fan_out.id
          FROM unnest(fan_out.params, sereno.concurrency_keys(known.policies ->> 'concurrency_key', fan_out.params))
               WITH ORDINALITY AS u (given, turn, number) ORDER BY u.number
        RETURNING r.id
    )
    UPDATE sereno.fan_out f SET first_run = m.first, last_run = m.last,
           ended_at = CASE WHEN f.total = 0 THEN clock_timestamp() END
      FROM (SELECT min(made.id) AS first, max(made.id) AS last FROM made) AS m WHERE f.id = fan_out.id;
    IF total = 0 THEN
        PERFORM sereno.fan_out_join(id);
    END IF;
    PERFORM pg_notify('sereno', 'run');
    -- Whoever fans out clears away, at a place of chance, what is over and whose runs are gone.
    DELETE FROM sereno.fan_out f USING (
        SELECT o.id FROM sereno.fan_out o
         WHERE o.id >= (random() * fan_out.id)::bigint ORDER BY o.id LIMIT 50) AS seen
     WHERE f.id = seen.id AND f.ended_at < clock_timestamp() - interval '1 hour'
       AND NOT EXISTS (SELECT 1 FROM sereno.run r WHERE r.id IN (f.run_id, f.join_run, f.last_run));
END $$;
