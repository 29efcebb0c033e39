-- What is known of runs beyond their rows: sereno.prune counts what it deletes, so that a report of a day or of four weeks
-- is right however few runs of each job are kept.

CREATE TABLE sereno.run_tally (                   -- deleted runs of a job that ended in one quarter of an hour in one state
    quarter    timestamptz NOT NULL,
    job        text NOT NULL,
    state      text NOT NULL,
    runs       bigint NOT NULL,
    timed      bigint NOT NULL,                   -- of them, those that had begun
    took_s     double precision NOT NULL,         -- of those, in all
    took_max_s double precision,
    slots      bigint NOT NULL,                   -- of them, first attempts for a slot
    late_s     double precision NOT NULL,         -- of those, from the slot to the start, in all
    late_max_s double precision,
    PRIMARY KEY (quarter, job, state)
);

-- Delete runs, count them by job, and forget counts of more than 62 days: two months, or the last four weeks and a month.
CREATE OR REPLACE FUNCTION sereno.delete_runs(ids bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    n integer;
BEGIN
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

-- Where the table is large, an index would keep writers out while it is made, and is a person's: docs/schema.md.
DO $$
BEGIN
    IF pg_relation_size('sereno.run') < 256 * 1024 * 1024 THEN
        CREATE INDEX IF NOT EXISTS run_finished ON sereno.run (finished_at) WHERE finished_at IS NOT NULL;
    END IF;
END $$;
