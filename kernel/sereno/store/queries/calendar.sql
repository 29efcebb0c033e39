-- Calendars, blackouts, and the schedules that follow a calendar.

-- name: calendars
-- Every calendar: the days of the settings (`declared`), and those that people have put in their place (`days`).
SELECT name, declared, days, changed_by, changed_at, reason FROM sereno.calendar ORDER BY name;

-- name: shared_declared
-- Whether the settings of the last leader named calendars, or blackouts.
SELECT EXISTS (SELECT 1 FROM sereno.calendar WHERE declared IS NOT NULL) AS calendars,
       EXISTS (SELECT 1 FROM sereno.blackout WHERE name IS NOT NULL) AS blackouts;

-- name: calendar_lock
-- $1 name
SELECT name, declared, days FROM sereno.calendar WHERE name = $1 FOR UPDATE;

-- name: calendar_put
-- $1 name, $2 days, $3 by, $4 reason. Returns the days that held before, null: none.
WITH old AS (
    SELECT coalesce(days, declared) AS days FROM sereno.calendar WHERE name = $1 FOR UPDATE
), new AS (
    INSERT INTO sereno.calendar (name, days, changed_by, reason) VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE SET days = $2, changed_by = $3, reason = $4, changed_at = clock_timestamp()
    RETURNING name
)
SELECT (SELECT days FROM old) AS days FROM new;

-- name: calendar_undo
-- $1 name, $2 by, $3 reason. The settings' days hold again.
UPDATE sereno.calendar SET days = NULL, changed_by = $2, reason = $3, changed_at = clock_timestamp() WHERE name = $1;

-- name: calendar_delete
-- $1 name
DELETE FROM sereno.calendar WHERE name = $1;

-- name: calendar_declare
-- $1 name, $2 the days of the settings, $3 by
INSERT INTO sereno.calendar (name, declared, changed_by) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET declared = $2,
    changed_by = CASE WHEN sereno.calendar.days IS NULL THEN $3 ELSE sereno.calendar.changed_by END,
    changed_at = CASE WHEN sereno.calendar.days IS NULL THEN clock_timestamp() ELSE sereno.calendar.changed_at END;

-- name: calendar_undeclare
-- $1 name. The settings name it no longer; what they said stays as if a person had, for who follows it.
UPDATE sereno.calendar SET days = coalesce(days, declared), declared = NULL WHERE name = $1;

-- name: calendar_told
-- $1 by, $2 subject, $3 action, $4 reason, $5 days before, $6 after. Wakes the leader.
WITH c AS (
    INSERT INTO sereno.change (by, subject, action, reason, before, after)
    VALUES ($1, $2, $3, $4, to_jsonb($5::text[]), to_jsonb($6::text[]))
)
SELECT pg_notify('sereno', 'schedule');

-- name: calendar_schedules
-- Schedules that may name a calendar, and their trigger as it was written.
SELECT s.name, coalesce(s.overrides ->> 'trigger', s.declared ->> 'trigger') AS trigger FROM sereno.schedule s
 WHERE (s.declared ->> 'trigger' LIKE '%calendar=%' OR s.overrides ->> 'trigger' LIKE '%calendar=%')
   AND s.state <> 'removed' ORDER BY s.name;

-- name: calendar_followers
-- As calendar_schedules, each with its newest version.
SELECT s.name, s.declared, s.overrides, v.version AS v_version, v.valid_from, v.state, v.trigger, v.starts_at, v.ends_at,
       v.jitter, v.params, v.policies
  FROM sereno.schedule s JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version
 WHERE (s.declared ->> 'trigger' LIKE '%calendar=%' OR s.overrides ->> 'trigger' LIKE '%calendar=%')
   AND s.state <> 'removed' ORDER BY s.name;

-- name: blackouts_walk
-- $1 to those behind $2 and $3, else to those before them, $2 an instant of beginning, $3 a number, $4 how many, $5 whether also
-- those that are over. Their numbers, in the order of the list.
(SELECT a.id FROM sereno.blackout a
  WHERE $1 AND (a.starts_at, a.id) > ($2, $3) AND ($5 OR a.ends_at > greatest(a.starts_at, clock_timestamp()))
  ORDER BY a.starts_at, a.id LIMIT $4)
UNION ALL
(SELECT b.id FROM sereno.blackout b
  WHERE NOT $1 AND (b.starts_at, b.id) < ($2, $3) AND ($5 OR b.ends_at > greatest(b.starts_at, clock_timestamp()))
  ORDER BY b.starts_at DESC, b.id DESC LIMIT $4);

-- name: blackouts
-- $1 whether also those that are over, $2 numbers, null: all. One that was ended before it began is over.
SELECT b.id, b.pattern, b.plugin, b.starts_at, b.ends_at, b.reason, b.made_by, b.made_at, b.ended_by,
       clock_timestamp() AS now,
       CASE WHEN b.plugin IS NOT NULL THEN ARRAY(SELECT j.name FROM sereno.job j WHERE j.plugin = b.plugin) END AS jobs
  FROM sereno.blackout b
 WHERE ($1 OR b.ends_at > greatest(b.starts_at, clock_timestamp())) AND ($2::bigint[] IS NULL OR b.id = ANY ($2)) ORDER BY b.starts_at, b.id;

-- name: blackouts_in_force
-- Those that slots may fall into, also slots that are settled late, after however long an outage; `jobs`: of their plugin, null
-- where it is for a pattern.
SELECT b.id, b.pattern, b.starts_at, b.ends_at, b.reason,
       CASE WHEN b.plugin IS NOT NULL
            THEN ARRAY(SELECT j.name FROM sereno.job j WHERE j.plugin = b.plugin) END AS jobs
  FROM sereno.blackout b
 WHERE b.ends_at > least(clock_timestamp() - interval '30 days',
                         (SELECT min(w.settled_to) FROM sereno.watermark w JOIN sereno.schedule s ON s.id = w.schedule_id
                           WHERE s.state IN ('active', 'paused')))
   AND b.ends_at > b.starts_at ORDER BY b.id;

-- name: blackouts_declared
-- The newest of each name in the settings.
SELECT DISTINCT ON (name) id, name, pattern, plugin, starts_at, meant_end, reason, ended_by
  FROM sereno.blackout WHERE name IS NOT NULL ORDER BY name, id DESC;

-- name: blackout_make
-- $1 pattern, $2 plugin, $3 from, null: now, $4 until, $5 reason, $6 by, $7 its name in the settings. The trail tells of it.
WITH made AS (
    INSERT INTO sereno.blackout (pattern, plugin, starts_at, ends_at, meant_end, reason, made_by, name)
    VALUES ($1, $2, coalesce($3::timestamptz, clock_timestamp()), $4, $4, $5, $6, $7) RETURNING *
), told AS (
    INSERT INTO sereno.change (by, subject, action, reason, after)
    SELECT m.made_by, 'blackout ' || m.id, 'blackout', m.reason,
           jsonb_build_object('schedules', m.pattern, 'plugin', m.plugin, 'starts_at', m.starts_at, 'ends_at', m.ends_at)
      FROM made m
)
SELECT m.id FROM made m, pg_notify('sereno', 'schedule');

-- name: blackout_end
-- $1 blackout, $2 by, $3 whether one that is over may be ended too. Returns it, none where it is over. What has not begun
-- never does.
WITH ended AS (
    UPDATE sereno.blackout b SET ended_by = $2, ends_at = greatest(b.starts_at, least(b.ends_at, clock_timestamp()))
     WHERE b.id = $1 AND b.ended_by IS NULL AND ($3 OR b.ends_at > clock_timestamp()) RETURNING *
), told AS (
    INSERT INTO sereno.change (by, subject, action, reason, after)
    SELECT $2, 'blackout ' || e.id, 'blackout_end', '', jsonb_build_object('ends_at', e.ends_at) FROM ended e
)
SELECT e.id FROM ended e, pg_notify('sereno', 'schedule');
