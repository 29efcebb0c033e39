-- Back-fills: runs for slots that were missed or never due, which the leader queues few at a time. A leader of the version
-- before queues none: they wait for one that does.

CREATE TABLE sereno.backfill (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_id  bigint NOT NULL,
    schedule     text NOT NULL,
    job          text NOT NULL,
    since        timestamptz NOT NULL,          -- slots from here on
    until        timestamptz NOT NULL,          -- and before here
    missed_only  boolean NOT NULL DEFAULT false,
    again        boolean NOT NULL DEFAULT false,   -- slots that ran before too
    parallel     integer NOT NULL DEFAULT 1 CHECK (parallel BETWEEN 1 AND 100),
    reason       text NOT NULL DEFAULT '',
    requested_by text NOT NULL,
    expected     bigint NOT NULL,               -- of how many slots it was when it was asked for
    state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'cancelled', 'failed')),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    place        timestamptz NOT NULL,          -- slots after it are yet to be looked at, the oldest first
    pending      bigint[] NOT NULL DEFAULT '{}',   -- its runs that are not over, as last seen
    queued       bigint NOT NULL DEFAULT 0,     -- slots that it has queued a run for
    succeeded    bigint NOT NULL DEFAULT 0,     -- of those runs
    failed       bigint NOT NULL DEFAULT 0,     -- of them, those that ended otherwise
    left_out     bigint NOT NULL DEFAULT 0,     -- slots that it met and that had a run already
    error        text,                          -- why it cannot go on
    cancelled_by text,
    started_at   timestamptz,
    finished_at  timestamptz
);
CREATE INDEX backfill_open ON sereno.backfill (id) WHERE state IN ('queued', 'running');
CREATE INDEX backfill_finished ON sereno.backfill (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE sereno.backfilled (                -- slots with a run beside their verdict: no two back-fills take one slot
    schedule_id bigint NOT NULL,
    slot        timestamptz NOT NULL,
    run_id      bigint NOT NULL,
    backfill_id bigint,                         -- null: by `resume`
    times       integer NOT NULL DEFAULT 1,     -- how often it was asked for again, on purpose
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (schedule_id, slot)
);
CREATE INDEX backfilled_at ON sereno.backfilled (at);

-- Which back-fill a run is of, also when it is a retry of one. The check is not held against rows that are there, which
-- the narrower one has let in.
ALTER TABLE sereno.run
    ADD COLUMN backfill bigint,
    DROP CONSTRAINT run_cause_check,
    ADD CONSTRAINT run_cause_check CHECK (cause IN ('slot', 'person', 'program', 'chain', 'retry', 'backfill')) NOT VALID;

-- As before, and back-fills that ended before `since`, and what they have filled.
CREATE OR REPLACE FUNCTION sereno.prune(
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
    IF left_ > 0 THEN   -- what they changed is told by the runs and the trail
        WITH old AS (
            SELECT b.id FROM sereno.bulk b WHERE b.finished_at < since ORDER BY b.finished_at LIMIT left_
        )
        DELETE FROM sereno.bulk b USING old WHERE b.id = old.id;
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
    END IF;
    IF left_ > 0 THEN   -- back-fills; which slots they have filled is kept as long as the trail, so that none is filled again
        WITH old AS (
            SELECT b.id FROM sereno.backfill b WHERE b.finished_at < since ORDER BY b.finished_at LIMIT left_
        )
        DELETE FROM sereno.backfill b USING old WHERE b.id = old.id;
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
    END IF;
    IF left_ > 0 THEN
        WITH old AS (
            SELECT b.schedule_id, b.slot FROM sereno.backfilled b WHERE b.at < clock_timestamp() - keep_changes
             ORDER BY b.at LIMIT left_
        )
        DELETE FROM sereno.backfilled b USING old WHERE b.schedule_id = old.schedule_id AND b.slot = old.slot;
        GET DIAGNOSTICS n = ROW_COUNT;
        left_ := left_ - n;
    END IF;
    RETURN batch - left_;
END $$;
