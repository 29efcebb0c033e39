-- name: verify_schedules
-- Every schedule that ever was, with its watermark.
SELECT s.id, s.name, s.job, s.state, w.settled_to, clock_timestamp() AS now,
       (SELECT slots_kept_from FROM sereno.history) AS kept_from,
       coalesce((SELECT pruned_run FROM sereno.job_stat j WHERE j.job = s.job), 0) AS pruned_run
  FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id ORDER BY s.id;

-- name: verify_versions
-- $1 schedule
SELECT version AS v_version, valid_from, state, trigger, starts_at, ends_at, jitter, params, policies
  FROM sereno.schedule_version WHERE schedule_id = $1 ORDER BY version;

-- name: verify_slots
-- $1 schedule, $2 after, $3 until. `run_here`: its run is there. `run_waits`, `run_unbegun`: what that says of itself. (One
-- without `on_time_until` was settled by a version that wrote `ran` for what waits.)
SELECT s.slot, s.verdict, s.run_id, (r.id IS NOT NULL) AS run_here, r.state AS run_state,
       r.state = 'queued' AND r.attempt = 0 AS run_waits, r.attempt = 0 AND r.on_time_until IS NOT NULL AS run_unbegun
  FROM sereno.slot s LEFT JOIN sereno.run r ON r.id = s.run_id
 WHERE s.schedule_id = $1 AND s.slot > $2 AND s.slot <= $3 ORDER BY s.slot;

-- name: verify_ranges
-- $1 schedule, $2 after, $3 until
SELECT first_slot, last_slot, slots, verdict FROM sereno.slot_range
 WHERE schedule_id = $1 AND last_slot > $2 AND first_slot <= $3 ORDER BY first_slot;

-- name: verify_first
-- $1 since. A run before which none is of a slot since then, found by halving: runs get their ids as they are queued, and
-- those of a slot are queued at its instant (an hour is for clocks that step). Null without any runs.
WITH RECURSIVE near (low, high) AS (
    SELECT min(id), max(id) FROM sereno.run
    UNION ALL
    SELECT CASE WHEN r.old THEN r.id ELSE n.low END, CASE WHEN r.old THEN n.high ELSE (n.low + n.high) / 2 END
      FROM near n, LATERAL (SELECT x.id, x.queued_at < $1::timestamptz - interval '1 hour' AS old FROM sereno.run x
                             WHERE x.id > (n.low + n.high) / 2 ORDER BY x.id LIMIT 1) AS r
     WHERE n.high - n.low > 1
)
SELECT max(low) FROM near;

-- name: verify_fan_outs
-- $1 since, $2 as found by verify_first. Fan-outs whose account is wrong: those all of whose children are over lack their
-- join, or have it twice; of those that wait no child is left. `fault` is null for those that are right.
WITH joins AS (
    SELECT (r.upstream -> 'fan-out' ->> 'id')::bigint AS id, count(*) AS runs
      FROM sereno.run r WHERE r.id >= $2 AND r.cause = 'chain' AND r.upstream ? 'fan-out' GROUP BY 1
)
SELECT f.id, f.run_id, f.made_at,
       CASE WHEN coalesce(j.runs, 0) > f.rounds THEN format('%s runs came after it, and %s were to', j.runs, f.rounds)
            WHEN f.ended > f.total OR f.failed > f.ended THEN format('%s of its %s children have ended', f.ended, f.total)
            WHEN f.ended = f.total AND f.join_job IS NOT NULL AND f.cancelled_by IS NULL AND f.join_run IS NULL
            THEN format('all its %s children are over, and job ''%s'' was not queued', f.total, f.join_job)
            WHEN f.join_run > coalesce((SELECT s.pruned_run FROM sereno.job_stat s WHERE s.job = f.join_job), 0)
                 AND NOT EXISTS (SELECT 1 FROM sereno.run r WHERE r.id = f.join_run)
            THEN format('its run %s is gone, and was not pruned', f.join_run)
            WHEN f.ended < f.total AND NOT EXISTS (
                 SELECT 1 FROM sereno.run r WHERE r.id BETWEEN f.first_run AND f.last_run AND r.fan_out = f.id
                    AND r.state IN ('queued', 'running'))
            THEN format('%s of its %s children have ended, and none of the others is left', f.ended, f.total) END AS fault
  FROM sereno.fan_out f LEFT JOIN joins j ON j.id = f.id WHERE f.made_at > $1 ORDER BY f.id;

-- name: verify_doubled
-- $1 since, $2 as found by verify_first. Slots that more than one run claims, and runs of slots that no verdict names.
SELECT r.schedule_id, r.slot, array_agg(r.id ORDER BY r.id) AS runs
  FROM sereno.run r WHERE r.id >= $2 AND r.cause = 'slot' AND r.slot > $1
 GROUP BY r.schedule_id, r.slot HAVING count(*) > 1
UNION ALL
SELECT r.schedule_id, r.slot, ARRAY[r.id]
  FROM sereno.run r LEFT JOIN sereno.slot s ON s.schedule_id = r.schedule_id AND s.slot = r.slot AND s.run_id = r.id
 WHERE r.id >= $2 AND r.cause = 'slot' AND r.slot > $1 AND s.run_id IS NULL
   AND r.slot > coalesce((SELECT slots_kept_from FROM sereno.history), '-infinity');

-- name: verify_parts
-- $1 since, $2 as found by verify_first. Runs of jobs that work at each host or node, and what is wrong with them (null:
-- nothing): one is over and a part waits, or it is not and they all are, though somebody has led for a while since; it has no
-- part; a part began elsewhere than at its place.
SELECT w.id, w.job, w.queued_at AS made_at, count(p.id) AS parts,
       CASE WHEN count(p.id) = 0 AND w.id > coalesce((SELECT j.pruned_run FROM sereno.job_stat j WHERE j.job = w.job), 0)
            THEN 'it has no part'
            WHEN w.state IN ('queued', 'running') AND count(p.id) > 0
                 AND bool_and(p.finished_at < l.beat_at - interval '1 minute')
            THEN 'all its parts are over, and it is not'
            WHEN w.finished_at < l.beat_at - interval '1 minute' AND bool_or(p.state = 'queued')
            THEN 'it is over, and one of its parts waits'
            WHEN w.state = 'succeeded' AND bool_or(p.state IN ('failed', 'timed_out', 'lost'))
            THEN 'it succeeded, and one of its parts did not'
            WHEN bool_or(p.attempt > 0 AND n.id IS NOT NULL AND p.place_id NOT IN ('host:' || coalesce(n.host, ''), 'node:' || n.id))
            THEN 'a part of it began elsewhere than at its place' END AS fault
  FROM sereno.run w CROSS JOIN sereno.leadership l LEFT JOIN sereno.run p ON p.part_of = w.id LEFT JOIN sereno.node n ON n.id = p.node
 WHERE w.id >= $2 AND w.place_id = '*' AND w.queued_at > $1 GROUP BY w.id, l.beat_at ORDER BY w.id;

-- name: verify_backfilled
-- $1 since, $2 as found by verify_first. Slots filled since then whose account is wrong: their run is gone and was not pruned,
-- or is another's; they ran by themselves too, though nobody asked for it again; more runs filled them than were asked for.
SELECT b.schedule_id, b.slot, b.run_id, b.times, r.id IS NULL AS gone,
       r.id IS NOT NULL AND (r.schedule_id, r.slot) IS DISTINCT FROM (b.schedule_id, b.slot) AS untrue, false AS doubled
  FROM sereno.backfilled b
  LEFT JOIN sereno.run r ON r.id = b.run_id
  LEFT JOIN sereno.schedule s ON s.id = b.schedule_id
  LEFT JOIN sereno.job_stat j ON j.job = s.job
 WHERE b.at > $1 AND ((r.id IS NULL AND b.run_id > coalesce(j.pruned_run, 0))
                      OR (r.id IS NOT NULL AND (r.schedule_id, r.slot) IS DISTINCT FROM (b.schedule_id, b.slot)))
UNION ALL
SELECT b.schedule_id, b.slot, b.run_id, b.times, false, false, true
  FROM sereno.backfilled b
  LEFT JOIN sereno.backfill o ON o.id = b.backfill_id
  JOIN sereno.slot k ON k.schedule_id = b.schedule_id AND k.slot = b.slot AND k.verdict IN ('waiting', 'ran', 'late')
 WHERE b.at > $1 AND b.times = 1 AND NOT coalesce(o.again, o.id IS NULL AND b.backfill_id IS NOT NULL)
UNION ALL
SELECT r.schedule_id, r.slot, max(r.id), coalesce(max(b.times), 0), false, false, true
  FROM sereno.run r LEFT JOIN sereno.backfilled b ON b.schedule_id = r.schedule_id AND b.slot = r.slot
 WHERE r.id >= $2 AND r.cause = 'backfill' AND (r.attempt > 0 OR r.state IN ('queued', 'running'))
   AND r.queued_at > clock_timestamp() - interval '700 days'
 GROUP BY r.schedule_id, r.slot HAVING count(*) > coalesce(max(b.times), 0);

-- name: verify_filled
-- $1 since. How many slots were filled since then.
SELECT count(*) FROM sereno.backfilled WHERE at > $1;
