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
