-- name: drift_schedules
-- $1 at most. Active schedules as they stand, with what was to come. `by`: who made the versions since then.
SELECT s.id, s.name, s.job, s.overrides, s.drift, s.version, v.version AS v_version, v.valid_from, v.state, v.trigger,
       v.starts_at, v.ends_at, v.jitter, v.params, v.policies, clock_timestamp() AS now,
       ARRAY(SELECT o.changed_by FROM sereno.schedule_version o
              WHERE o.schedule_id = s.id AND o.version > sereno.whole(s.drift ->> 'version')) AS by
  FROM sereno.schedule s JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
 WHERE s.state = 'active'
 ORDER BY s.id LIMIT $1;

-- name: drift_walk
-- $1 the rules of this code, $2 and $3 instant and schedule of the step before ($2 null: among those that nothing is to
-- come of), $4 read at most, $5 found at most, $6 those alone of which something is kept. Goes on from there by the
-- instants at which schedules are looked at, to those that are to be computed anew: active ones, by other rules, of
-- another version, or (not $6) never or too long ago. One row, without `id`, when there is none. `walked`, `to_wake`,
-- `to_id`: how many were read, and the last of them. `by`: as above. (Texts are compared, and not cast, where a row may
-- hold any: it would fail the walk.)
WITH walked AS MATERIALIZED (
    (SELECT wake_at, schedule_id FROM sereno.watermark
      WHERE (wake_at, schedule_id) > ($2::timestamptz, $3::bigint) ORDER BY wake_at, schedule_id LIMIT $4)
    UNION ALL
    (SELECT wake_at, schedule_id FROM sereno.watermark
      WHERE wake_at IS NULL AND schedule_id > CASE WHEN $2 IS NULL THEN $3 ELSE 0 END
      ORDER BY wake_at, schedule_id LIMIT $4)
    LIMIT $4
), found AS MATERIALIZED (
    SELECT w.wake_at, w.schedule_id
      FROM walked w, LATERAL (
               SELECT FROM sereno.schedule s WHERE s.id = w.schedule_id AND s.state = 'active'
                  AND (s.drift ->> 'rules' <> $1
                       OR (s.drift IS NOT NULL AND sereno.whole(s.drift ->> 'version') IS DISTINCT FROM s.version)
                       OR (NOT $6::boolean AND (s.drift IS NULL OR s.drift ->> 'at' COLLATE "C"
                            < to_char(statement_timestamp() AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD"T"HH24:MI:SS'))))
               OFFSET 0) s   -- one look at an index for each: a join might read them all
     ORDER BY w.wake_at, w.schedule_id LIMIT $5
)
SELECT e.walked, e.to_wake, e.to_id, f.wake_at, f.schedule_id AS id, f.name, f.drift, f.version, f.v_version, f.valid_from,
       f.state, f.trigger, f.starts_at, f.ends_at, f.jitter, f.params, f.policies, f.by, clock_timestamp() AS now
  FROM (SELECT count(*) OVER () AS walked, wake_at AS to_wake, schedule_id AS to_id FROM walked
         ORDER BY wake_at DESC, schedule_id DESC LIMIT 1) e
  LEFT JOIN (found JOIN LATERAL (
                 SELECT s.name, s.drift, s.version, v.version AS v_version, v.valid_from, v.state, v.trigger, v.starts_at,
                        v.ends_at, v.jitter, v.params, v.policies,
                        ARRAY(SELECT o.changed_by FROM sereno.schedule_version o
                               WHERE o.schedule_id = s.id AND o.version > sereno.whole(s.drift ->> 'version')) AS by
                   FROM sereno.schedule s
                   JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
                  WHERE s.id = found.schedule_id OFFSET 0) d ON true) f ON true
 ORDER BY f.wake_at, f.schedule_id;

-- name: drift_keep
-- $1 term, $2 schedules, $3 their versions, $4 drift. Nothing when the term has moved on; otherwise of those that have
-- not changed since, which it returns.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
)
UPDATE sereno.schedule s SET drift = u.drift
  FROM unnest($2::bigint[], $3::integer[], $4::jsonb[]) AS u(id, version, drift), fence
 WHERE s.id = u.id AND s.version = u.version RETURNING s.id;

-- name: drift_wake
-- $1 schedules, $2 their next slots. What has moved is looked at no later than at its new instant.
UPDATE sereno.watermark w SET next_slot = u.slot, due_by = u.slot + CASE WHEN w.grace < interval '1000 years' THEN w.grace END,
       wake_at = least(w.wake_at, u.slot), version = w.version + 1
  FROM unnest($1::bigint[], $2::timestamptz[]) AS u(id, slot)
 WHERE w.schedule_id = u.id;

-- name: drift_record
-- $1 schedules, $2 reasons, $3 before, $4 after. Kept among the changes.
INSERT INTO sereno.change (by, subject, action, reason, before, after)
SELECT 'the code', name, 'drift', reason, b, a
  FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[]) AS u(name, reason, b, a);
