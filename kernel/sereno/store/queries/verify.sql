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
-- $1 schedule, $2 after, $3 until. `run_here`: the run of a slot that ran is there.
SELECT s.slot, s.verdict, s.run_id, (r.id IS NOT NULL) AS run_here
  FROM sereno.slot s LEFT JOIN sereno.run r ON r.id = s.run_id
 WHERE s.schedule_id = $1 AND s.slot > $2 AND s.slot <= $3 ORDER BY s.slot;

-- name: verify_ranges
-- $1 schedule, $2 after, $3 until
SELECT first_slot, last_slot, slots, verdict FROM sereno.slot_range
 WHERE schedule_id = $1 AND last_slot > $2 AND first_slot <= $3 ORDER BY first_slot;

-- name: verify_doubled
-- $1 since. Slots that more than one run claims, and runs of slots that no verdict names.
SELECT r.schedule_id, r.slot, array_agg(r.id ORDER BY r.id) AS runs
  FROM sereno.run r WHERE r.cause = 'slot' AND r.slot > $1
 GROUP BY r.schedule_id, r.slot HAVING count(*) > 1
UNION ALL
SELECT r.schedule_id, r.slot, ARRAY[r.id]
  FROM sereno.run r LEFT JOIN sereno.slot s ON s.schedule_id = r.schedule_id AND s.slot = r.slot AND s.run_id = r.id
 WHERE r.cause = 'slot' AND r.slot > $1 AND s.run_id IS NULL
   AND r.slot > coalesce((SELECT slots_kept_from FROM sereno.history), '-infinity');
