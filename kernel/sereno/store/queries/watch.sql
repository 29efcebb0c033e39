-- name: watch_jobs
-- $1 class, $2 the leader's number. Who leads, and `jobs`: the facts about every present job as a JSON list of lists in
-- the order of JobFacts, instants and durations in seconds (read so, ten thousand jobs cost a tenth of what rows cost;
-- and numbers are added up, as instants that a row may hold would fail the statement, for all).
-- Reads queued and running runs through their partial indexes, and no other run. The ledger is asked only for jobs
-- whose last success is older than it may be: for `resumed_at`, since when a schedule of theirs is active, and
-- `unmet_slot`, their first due slot since.
WITH policy AS (
    SELECT j.name, coalesce(sereno.grace(j.policies), interval '1 minute') AS grace,
           sereno.duration(j.policies ->> 'timeout') AS timeout
      FROM sereno.job j WHERE j.present
), queued AS (
    SELECT job, count(*) AS runs, min(slot) FILTER (WHERE attempt = 0 AND cause = 'slot') AS first_slot
      FROM sereno.run WHERE state = 'queued' AND place_id IS DISTINCT FROM '*' GROUP BY job
), running AS (
    SELECT job, count(*) AS runs, min(started_at) AS since
      FROM sereno.run WHERE state = 'running' AND place_id IS DISTINCT FROM '*' GROUP BY job
), stalled AS (
    SELECT r.job, count(*) AS runs, min(t.since) AS since, (array_agg(r.id ORDER BY t.since, r.id))[1] AS run
      FROM sereno.stall t JOIN sereno.run r ON r.id = t.run_id AND r.token = t.token AND r.state = 'running' GROUP BY r.job
), known AS MATERIALIZED (
    SELECT j.name, j.plugin, j.description, j.severity, j.after, j.overdue_after, p.grace, p.timeout,
           greatest(t.last_success_at, j.registered_at) AS fresh_at,
           date_part('epoch', greatest(t.last_success_at, j.registered_at)) + date_part('epoch', j.overdue_after)
               <= date_part('epoch', statement_timestamp()) AS old,
           t.succeeded, t.failed, t.timed_out, t.cancelled, t.lost, t.retried, t.expired, t.late, t.coalesced, t.skipped, t.missed, t.warnings,
           t.last_success_at, t.last_end_at, t.last_state, t.last_run, t.last_duration,
           (SELECT coalesce(s.resumed_at, s.created_at) FROM sereno.schedule s WHERE s.job = j.name AND s.state = 'active'
             ORDER BY coalesce(s.resumed_at, s.created_at) LIMIT 1) AS active_since,
           (SELECT w.next_slot FROM sereno.watermark w
             WHERE w.job = j.name AND w.next_slot IS NOT NULL AND w.due_by IS NULL ORDER BY w.next_slot LIMIT 1) AS next_slot,
           (SELECT w.due_by FROM sereno.watermark w
             WHERE w.job = j.name AND w.due_by IS NOT NULL ORDER BY w.due_by LIMIT 1) AS own_due_by
      FROM sereno.job j JOIN policy p ON p.name = j.name LEFT JOIN sereno.job_stat t ON t.job = j.name
), fact AS (
    SELECT json_build_array(
        j.name, j.plugin, j.severity, j.after, date_part('epoch', j.overdue_after), date_part('epoch', j.grace),
        date_part('epoch', j.timeout), date_part('epoch', j.fresh_at),
        coalesce(j.succeeded, 0), coalesce(j.failed, 0), coalesce(j.timed_out, 0), coalesce(j.cancelled, 0),
        coalesce(j.lost, 0), coalesce(j.retried, 0), coalesce(j.expired, 0), coalesce(j.late, 0), coalesce(j.coalesced, 0),
        coalesce(j.skipped, 0), coalesce(j.missed, 0), coalesce(j.warnings, 0),
        date_part('epoch', j.last_success_at), date_part('epoch', j.last_end_at), j.last_state, j.last_run,
        date_part('epoch', j.last_duration),
        j.active_since IS NOT NULL, j.active_since IS NULL AND EXISTS (
            SELECT 1 FROM sereno.schedule s WHERE s.job = j.name AND s.state = 'paused'),
        date_part('epoch', least(j.next_slot, CASE WHEN j.own_due_by IS NOT NULL THEN (
            SELECT w.next_slot FROM sereno.watermark w
             WHERE w.job = j.name AND w.due_by IS NOT NULL ORDER BY w.next_slot LIMIT 1) END)),
        least(date_part('epoch', j.next_slot) + date_part('epoch', j.grace), date_part('epoch', j.own_due_by)),
        coalesce(q.runs, 0), date_part('epoch', q.first_slot), coalesce(r.runs, 0), date_part('epoch', r.since),
        CASE WHEN j.old THEN date_part('epoch', j.active_since) END,
        CASE WHEN j.old THEN date_part('epoch',
            (SELECT min(least(
                        (SELECT x.slot FROM sereno.slot x
                          WHERE x.schedule_id = w.schedule_id AND x.slot > j.fresh_at
                            AND (x.verdict <> 'skipped' OR x.reason LIKE 'overlap%') ORDER BY x.slot LIMIT 1),
                        (SELECT min(greatest(y.first_slot, j.fresh_at)) FROM sereno.slot_range y
                          WHERE y.schedule_id = w.schedule_id AND y.last_slot > j.fresh_at
                            AND (y.verdict <> 'skipped' OR y.reason LIKE 'overlap%'))))
               FROM sereno.watermark w JOIN sereno.schedule a ON a.id = w.schedule_id AND a.state = 'active'
              WHERE w.job = j.name AND w.settled_to > j.fresh_at))
        END, coalesce(s.runs, 0), date_part('epoch', s.since), s.run) AS cells
      FROM known j
      LEFT JOIN queued q ON q.job = j.name
      LEFT JOIN running r ON r.job = j.name
      LEFT JOIN stalled s ON s.job = j.name
)
SELECT l.term, l.node, n.label, l.acquired_at, l.beat_at, clock_timestamp() AS now,
       EXISTS (SELECT 1 FROM pg_locks k JOIN pg_locks p ON p.pid = k.pid   -- a node's session has a presence lock too
                WHERE k.locktype = 'advisory' AND k.classid = $1::int::oid AND k.objid = $2::int::oid
                  AND k.objsubid = 2 AND k.granted
                  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND p.locktype = 'advisory' AND p.classid = k.classid AND p.objid <> k.objid
                  AND p.objsubid = 2 AND p.granted AND p.database = k.database) AS led,
       greatest((SELECT at FROM sereno.catalogue), (SELECT at FROM sereno.change ORDER BY id DESC LIMIT 1))
           AS changed_at,
       (SELECT t.seen_at FROM sereno.timeline t WHERE t.doubtful_until IS NOT NULL ORDER BY t.id DESC LIMIT 1) AS history_at,
       (SELECT coalesce(json_agg(e), '[]')::text FROM sereno.numbers_ending() AS e) AS ending,
       coalesce((SELECT refused FROM sereno.catalogue), '{}') AS refused,
       (SELECT coalesce(json_agg(cells), '[]')::text FROM fact) AS jobs
  FROM sereno.leadership l LEFT JOIN sereno.node n ON n.id = l.node;
