-- What follows a fan-out that was tried again names the runs that did not succeed in the end, and none that another repeats.

CREATE OR REPLACE FUNCTION sereno.fan_out_join(fan bigint) RETURNS void LANGUAGE plpgsql AS $$
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
    INSERT INTO sereno.run (job, cause, priority, params, upstream, concurrency_key, requested_by, trace_context,
                            start_by)
    VALUES (f.join_job, 'chain', coalesce(sereno.priority(rules), 0), coalesce(f.join_params, '{}'),
            jsonb_build_object('fan-out', jsonb_build_object(
                'id', f.id, 'run_id', f.run_id, 'job', f.job, 'total', f.total, 'succeeded', f.total - f.failed,
                'failed', f.failed, 'on_failure', f.on_failure,
                'failed_runs', (SELECT coalesce(jsonb_agg(x.id), '[]')
                                  FROM (SELECT r.id FROM sereno.run r
                                         WHERE f.failed > 0 AND r.id BETWEEN f.first_run AND f.last_run AND r.fan_out = f.id
                                           AND r.state NOT IN ('queued', 'running', 'succeeded')
                                           AND r.id NOT IN (
                                               SELECT a.repeats FROM sereno.run a
                                                WHERE a.id BETWEEN f.first_run AND f.last_run
                                                  AND a.fan_out = f.id AND a.repeats IS NOT NULL)
                                         ORDER BY r.id LIMIT 100) AS x))),
            (sereno.concurrency_keys(rules ->> 'concurrency_key', ARRAY[coalesce(f.join_params, '{}')]))[1],
            'run ' || f.run_id, f.trace_context, sereno.begin_by(clock_timestamp(), rules))
    RETURNING id INTO made;
    UPDATE sereno.fan_out o SET join_run = made WHERE o.id = fan;
    PERFORM pg_notify('sereno', 'run');
END $$;
