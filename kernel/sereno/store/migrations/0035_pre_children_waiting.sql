-- Children of fan-outs take turns with others, so they are found apart from them; where the table is large, make the index by
-- hand before: docs/schema.md.
CREATE INDEX IF NOT EXISTS run_child ON sereno.run (priority DESC, run_at, id) WHERE state = 'queued' AND fan_out IS NOT NULL;

-- As before; with the last run of a fan-out that is over goes what is known of that.
CREATE OR REPLACE FUNCTION sereno.delete_runs(ids bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    n    integer;
    fans bigint[];
BEGIN
    IF EXISTS (SELECT FROM sereno.fan_out) THEN
        SELECT array_agg(x.id) INTO fans FROM (
            SELECT f.id FROM sereno.fan_out f WHERE f.run_id = ANY (ids)
            UNION SELECT r.fan_out FROM sereno.run r WHERE r.id = ANY (ids) AND r.fan_out IS NOT NULL
            UNION SELECT CASE WHEN r.upstream -> 'fan-out' ->> 'id' ~ '^[0-9]{1,18}$'
                              THEN (r.upstream -> 'fan-out' ->> 'id')::bigint END
                    FROM sereno.run r WHERE r.id = ANY (ids) AND r.cause = 'chain') AS x;
    END IF;
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
    DELETE FROM sereno.fan_out f WHERE f.id = ANY (fans) AND f.ended_at IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM sereno.run r WHERE r.id IN (f.run_id, f.join_run, f.first_run, f.last_run));
    DELETE FROM sereno.run_tally WHERE (quarter, job, state) IN (
        SELECT t.quarter, t.job, t.state FROM sereno.run_tally t
         WHERE t.quarter < clock_timestamp() - interval '62 days' ORDER BY t.quarter LIMIT 1000);
    RETURN n;
END $$;
