-- name: drift_schedules
-- $1 at most. Active schedules as they stand, with what was to come. `by`: who made the versions since then.
SELECT s.id, s.name, s.job, s.overrides, s.drift, s.version, v.version AS v_version, v.valid_from, v.state, v.trigger,
       v.starts_at, v.ends_at, v.jitter, v.params, v.policies, clock_timestamp() AS now,
       ARRAY(SELECT o.changed_by FROM sereno.schedule_version o
              WHERE o.schedule_id = s.id AND o.version > (s.drift ->> 'version')::integer) AS by
  FROM sereno.schedule s JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
 WHERE s.state = 'active'
 ORDER BY s.id LIMIT $1;

-- name: drift_walk
-- $1 the rules of this code, $2 and $3 instant and schedule of the step before ($2 null: among those that nothing is to
-- come of), $4 at most. The schedules after it, by the instants at which they are looked at; `id` null: nothing to do.
-- To be computed anew are active ones, by other rules, of another version, or too long ago. `by`: as above.
SELECT w.wake_at, w.schedule_id, s.id, s.name, s.drift, s.version, v.version AS v_version, v.valid_from, v.state,
       v.trigger, v.starts_at, v.ends_at, v.jitter, v.params, v.policies, clock_timestamp() AS now,
       ARRAY(SELECT o.changed_by FROM sereno.schedule_version o
              WHERE o.schedule_id = s.id AND o.version > (s.drift ->> 'version')::integer) AS by
  FROM ((SELECT wake_at, schedule_id FROM sereno.watermark
          WHERE (wake_at, schedule_id) > ($2::timestamptz, $3::bigint) ORDER BY wake_at, schedule_id LIMIT $4)
        UNION ALL
        (SELECT wake_at, schedule_id FROM sereno.watermark
          WHERE wake_at IS NULL AND schedule_id > CASE WHEN $2 IS NULL THEN $3 ELSE 0 END
          ORDER BY wake_at, schedule_id LIMIT $4)
        LIMIT $4) w
  LEFT JOIN (sereno.schedule s JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version)
    ON s.id = w.schedule_id AND s.state = 'active'
   AND (s.drift IS NULL OR s.drift ->> 'rules' <> $1 OR (s.drift ->> 'version')::integer <> s.version
        OR (s.drift ->> 'at')::timestamptz < clock_timestamp() - interval '1 day')
 ORDER BY w.wake_at, w.schedule_id;

-- name: drift_lock
-- $1 schedules, $2 their versions. Those that have not changed since, and now cannot.
SELECT s.id FROM unnest($1::bigint[], $2::integer[]) AS u(id, version)
  JOIN sereno.schedule s ON s.id = u.id AND s.version = u.version FOR UPDATE OF s;

-- name: drift_keep
-- $1 schedules, $2 drift
UPDATE sereno.schedule s SET drift = u.drift
  FROM unnest($1::bigint[], $2::jsonb[]) AS u(id, drift) WHERE s.id = u.id;

-- name: drift_wake
-- $1 schedules, $2 their next slots. What has moved is looked at no later than at its new instant.
UPDATE sereno.watermark w SET next_slot = u.slot, due_by = u.slot + w.grace, wake_at = least(w.wake_at, u.slot), version = w.version + 1
  FROM unnest($1::bigint[], $2::timestamptz[]) AS u(id, slot)
 WHERE w.schedule_id = u.id;

-- name: drift_record
-- $1 schedules, $2 reasons, $3 before, $4 after. Kept among the changes.
INSERT INTO sereno.change (by, subject, action, reason, before, after)
SELECT 'the code', name, 'drift', reason, b, a
  FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[]) AS u(name, reason, b, a);

-- name: drift_recorded
-- $1 at most. The newest first.
SELECT at, subject AS schedule, reason, before, after FROM sereno.change WHERE action = 'drift' ORDER BY id DESC LIMIT $1;
