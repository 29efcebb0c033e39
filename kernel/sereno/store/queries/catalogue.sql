-- name: catalogue_fingerprint
SELECT fingerprint FROM sereno.catalogue;

-- name: catalogue_record
-- $1 fingerprint, $2 term, $3 what was not taken
INSERT INTO sereno.catalogue (fingerprint, term, refused) VALUES ($1, $2, $3)
ON CONFLICT (one) DO UPDATE SET fingerprint = $1, term = $2, refused = $3, at = clock_timestamp();

-- name: catalogue_refused
SELECT refused FROM sereno.catalogue;

-- name: fence
-- $1 term. No row when the term has moved on; otherwise it cannot until this transaction ends.
SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE;

-- name: jobs_register
-- $1 names, $2 plugins, $3 descriptions, $4 policies, $5 after (JSON lists), $6 params, $7 overdue_after, $8 severities,
-- $9 names of secret params (JSON lists), $10 titles, $11 owners, $12 runbooks, $13 tags (JSON lists), $14 where the params of a
-- chained run come from
INSERT INTO sereno.job AS j (name, plugin, description, policies, after, params, overdue_after, severity, secrets,
                             title, owner, runbook, tags, params_from)
SELECT n, p, d, pol, ARRAY(SELECT jsonb_array_elements_text(a)), par, o, s,
       nullif(ARRAY(SELECT jsonb_array_elements_text(sec)), '{}'), tit, own, rb,
       nullif(ARRAY(SELECT jsonb_array_elements_text(tag)), '{}'), source
  FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[], $7::interval[], $8::text[],
              $9::jsonb[], $10::text[], $11::text[], $12::text[], $13::jsonb[], $14::jsonb[])
       AS u(n, p, d, pol, a, par, o, s, sec, tit, own, rb, tag, source)
ON CONFLICT (name) DO UPDATE SET plugin = excluded.plugin, description = excluded.description,
    policies = excluded.policies, after = excluded.after, params = excluded.params,
    overdue_after = excluded.overdue_after, severity = excluded.severity, secrets = excluded.secrets, present = true,
    title = excluded.title, owner = excluded.owner, runbook = excluded.runbook, tags = excluded.tags,
    params_from = excluded.params_from,
    registered_at = CASE WHEN j.present THEN j.registered_at ELSE clock_timestamp() END;

-- name: job_stats_create
INSERT INTO sereno.job_stat (job) SELECT name FROM sereno.job ON CONFLICT DO NOTHING;

-- name: chains_forget
-- Successes that wait for a fan-in which is made otherwise by now: they would start it too early, with what is old.
DELETE FROM sereno.chain_arrival a USING sereno.job j
 WHERE j.name = a.downstream AND j.present AND (cardinality(j.after) < 2 OR a.upstream <> ALL(j.after));

-- name: jobs_absent
-- $1 names that are declared now. Returns the jobs that were until now, and are no longer.
UPDATE sereno.job SET present = false WHERE present AND name <> ALL($1::text[]) RETURNING name, plugin;

-- name: schedules_declared
-- Every schedule that was not made by a user, with its newest version, locked.
SELECT s.id, s.name, s.job, s.origin, s.declared, s.overrides, s.state, s.version, s.paused_until,
       s.paused_by, w.settled_to, clock_timestamp() AS now
  FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id
 WHERE s.origin <> 'user' AND s.state <> 'removed' FOR UPDATE;

-- name: schedule_by_name
-- $1 name
SELECT s.id, s.name, s.job, s.origin, s.declared, s.overrides, s.state, s.version, s.paused_until,
       s.paused_by, w.settled_to, clock_timestamp() AS now
  FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id
 WHERE s.name = $1 AND s.state <> 'removed' FOR UPDATE;

-- name: schedules_by_job
-- $1 job
SELECT s.name, s.state FROM sereno.schedule s WHERE s.job = $1 AND s.state <> 'removed' ORDER BY s.name;

-- name: schedules_create
-- $1 names, $2 jobs, $3 origins, $4 declared, $5 triggers, $6 starts, $7 ends, $8 jitters, $9 params, $10 policies,
-- $11 next slots, $12 by, $13 settled_to (null: now). All three rows of each new schedule.
WITH declared AS (
    SELECT *, coalesce($13::timestamptz, clock_timestamp()) AS at
      FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::text[], $6::timestamptz[], $7::timestamptz[],
                $8::interval[], $9::jsonb[], $10::jsonb[], $11::timestamptz[])
           AS u(name, job, origin, declared, trigger, starts_at, ends_at, jitter, params, policies, next_slot)
), made AS (
    INSERT INTO sereno.schedule (name, job, origin, declared)
    SELECT name, job, origin, declared FROM declared RETURNING id, name
), versions AS (
    INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state, trigger, starts_at, ends_at, jitter,
                                         params, policies, changed_by, reason)
    SELECT m.id, 1, d.at, 'active', d.trigger, d.starts_at, d.ends_at, d.jitter, d.params, d.policies, $12, 'declared'
      FROM made m JOIN declared d USING (name)
)
INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at, grace, due_by)
SELECT m.id, d.job, d.at, d.next_slot, CASE WHEN d.starts_at > d.at THEN d.at ELSE coalesce(d.next_slot, d.at) END,
       g, d.next_slot + g
  FROM made m JOIN declared d USING (name), sereno.grace(d.policies) AS g
RETURNING schedule_id;

-- name: schedule_change
-- $1 id, $2 declared, $3 overrides, $4 state, $5 paused_until, $6 by, $7 reason, $8 trigger, $9 starts, $10 ends,
-- $11 jitter, $12 params, $13 policies, $14 next slot, $15 wake_at, $16 valid_from, $17 action.
-- The caller holds the schedule's and the watermark's rows. Who paused it stays, through other changes and while it is
-- orphaned, until it is active again. Returns the new version.
WITH s AS (
    UPDATE sereno.schedule SET declared = $2, overrides = $3, state = $4, paused_until = $5,
           resumed_at = CASE WHEN $4 = 'active' AND state <> 'active' THEN clock_timestamp() ELSE resumed_at END,
           paused_by = CASE WHEN $4 IN ('paused', 'orphaned')
                            THEN CASE WHEN $17 = 'pause' OR (paused_by IS NULL AND $4 = 'paused') THEN $6 ELSE paused_by END
                       END,
           paused_reason = CASE WHEN $4 IN ('paused', 'orphaned')
                                THEN CASE WHEN $17 = 'pause' OR (paused_by IS NULL AND $4 = 'paused') THEN $7
                                          ELSE paused_reason END
                           END,
           version = version + 1
     WHERE id = $1 RETURNING id, name, version
), w AS (
    UPDATE sereno.watermark SET version = version + 1, next_slot = $14::timestamptz, wake_at = $15, grace = sereno.grace($13),
           due_by = $14::timestamptz + sereno.grace($13)
     WHERE schedule_id = $1
), c AS (
    INSERT INTO sereno.change (by, subject, action, reason, after)
    SELECT $6, s.name, $17, $7, jsonb_build_object('state', $4::text, 'trigger', $8::text, 'params', $12::jsonb,
                                                   'policies', $13::jsonb) FROM s
), n AS (
    SELECT pg_notify('sereno', 'schedule')
)
INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state, trigger, starts_at, ends_at, jitter,
                                     params, policies, changed_by, reason)
SELECT s.id, s.version, $16, $4, $8, $9, $10, $11, $12, $13, $6, $7 FROM s, n RETURNING version;

-- name: schedules_astray
-- $1 jobs that are declared now. Schedules that do not follow that yet: orphans whose job is back, and those whose job is
-- gone. (OFFSET 0: job by job, through an index; the planner takes no job for gone, and would read all schedules.)
SELECT id FROM sereno.schedule WHERE state = 'orphaned' AND job = ANY($1::text[])
UNION ALL
SELECT a.id FROM sereno.job j, LATERAL (SELECT s.id FROM sereno.schedule s
                                         WHERE s.job = j.name AND s.state = 'active' OFFSET 0) AS a WHERE NOT j.present
UNION ALL
SELECT p.id FROM sereno.job j, LATERAL (SELECT s.id FROM sereno.schedule s
                                         WHERE s.job = j.name AND s.state = 'paused' OFFSET 0) AS p WHERE NOT j.present;

-- name: schedules_orphaned
-- $1 jobs that are declared here. The orphaned schedules of other jobs, by the plugin that declared them last.
SELECT coalesce(j.plugin, split_part(s.job, '.', 1)) AS plugin, count(*) AS count, min(s.name) AS first
  FROM sereno.schedule s LEFT JOIN sereno.job j ON j.name = s.job
 WHERE s.state = 'orphaned' AND s.job <> ALL($1::text[]) GROUP BY 1 ORDER BY 1;

-- name: runs_orphaned
-- $1 jobs that are declared here. Queued runs of other jobs, 10,000 at most, by job and the plugin that declared it last.
SELECT r.job, coalesce(j.plugin, split_part(r.job, '.', 1)) AS plugin, count(*) AS count
  FROM (SELECT job FROM sereno.run WHERE state = 'queued' AND job <> ALL($1::text[]) LIMIT 10000) r
  LEFT JOIN sereno.job j ON j.name = r.job GROUP BY 1, 2 ORDER BY 1;

-- name: schedules_of_users
-- $1 schedules. Those of users, locked.
SELECT s.id, s.name, s.job, s.origin, s.declared, s.overrides, s.state, s.version, s.paused_until,
       s.paused_by, w.settled_to, clock_timestamp() AS now
  FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id
 WHERE s.id = ANY($1::bigint[]) AND s.origin = 'user' AND s.state <> 'removed' FOR UPDATE;

-- name: schedules_taken
-- $1 names. Those that a user's schedule has.
SELECT name FROM sereno.schedule WHERE name = ANY($1::text[]) AND origin = 'user' AND state <> 'removed' FOR UPDATE;

-- name: database_now
SELECT clock_timestamp();

-- name: schedule_like
-- $1 a name that is not known. The nearest that is: whose beginning and end are most like its own.
SELECT name FROM (SELECT name FROM sereno.schedule WHERE state <> 'removed'
                  UNION SELECT name FROM sereno.job WHERE present) n
       CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE left(name, i) = left($1, i))
                                + count(*) FILTER (WHERE right(name, i) = right($1, i)) AS alike
                             FROM generate_series(1, least(length(name), length($1), 100)) i) a
 WHERE split_part(name, '.', 1) = split_part($1, '.', 1) OR name LIKE '%' || $1 || '%' OR $1 LIKE '%' || name || '%'
 ORDER BY a.alike - abs(length(name) - length($1)) DESC, name LIMIT 1;

-- name: slot_last
-- $1 schedule. Its last slot that has a row.
SELECT slot, verdict, reason, run_id FROM sereno.slot WHERE schedule_id = $1 ORDER BY slot DESC LIMIT 1;

-- name: one_offs_over
-- One-offs whose slot is settled, and that are not ended yet.
SELECT s.name FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id
 WHERE (s.declared ? 'one_off' OR s.overrides ? 'one_off') AND s.state = 'active' AND w.wake_at IS NULL;

-- name: paused_since
-- $1 schedule. When the pause that is going on began.
SELECT valid_from FROM sereno.schedule_version v
 WHERE v.schedule_id = $1 AND v.state = 'paused'
   AND v.version > coalesce((SELECT max(x.version) FROM sereno.schedule_version x
                              WHERE x.schedule_id = $1 AND x.state <> 'paused'), 0)
 ORDER BY v.version LIMIT 1;

-- name: runs_replay
-- $1 job, $2 schedule, $3 slots, $4 params, $5 policies, $6 by, $7 priority, $8 concurrency key, null: one after another.
-- Runs on a person's word for slots that were skipped, and that no back-fill has filled meanwhile.
WITH filled AS (
    INSERT INTO sereno.backfilled (schedule_id, slot, run_id)
    SELECT $2, x.slot, nextval('sereno.run_id_seq')
      FROM (SELECT slot FROM unnest($3::timestamptz[]) AS slot JOIN sereno.job j ON j.name = $1 ORDER BY slot) AS x
    ON CONFLICT DO NOTHING
    RETURNING slot, run_id
)
INSERT INTO sereno.run (id, job, cause, schedule_id, slot, priority, params, policies, requested_by, concurrency_key)
       OVERRIDING SYSTEM VALUE
SELECT run_id, $1, 'person', $2, slot, $7::smallint, $4, $5, $6, coalesce($8, 'schedule ' || $2::bigint)
  FROM filled ORDER BY run_id
RETURNING id;

-- name: job_policies
-- $1 name
SELECT policies FROM sereno.job WHERE name = $1;

-- name: schedule_forget
-- $1 names. A removed schedule gives its name back; its history goes by its number.
UPDATE sereno.schedule SET name = name || '#' || id WHERE name = ANY($1::text[]) AND state = 'removed';

-- name: schedule_told
-- $1 by, $2 name, $3 declared, $4 reason
WITH c AS (INSERT INTO sereno.change (by, subject, action, after, reason) VALUES ($1, $2, 'create', $3, $4))
SELECT pg_notify('sereno', 'schedule');

-- name: job_present
-- $1 name. Whether it is declared now; it stays so until the transaction ends.
SELECT present FROM sereno.job WHERE name = $1 FOR SHARE;
