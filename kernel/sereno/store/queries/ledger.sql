-- name: agenda
-- $1 horizon, $2 at most so many schedules. Those that the leader must look at up to the horizon, soonest first,
-- with every version in force after their watermark.
WITH due AS (
    SELECT w.* FROM sereno.watermark w WHERE w.wake_at <= $1 ORDER BY w.wake_at LIMIT $2
)
SELECT s.id, s.name, s.job, s.paused_until, d.settled_to, d.next_slot, d.wake_at, d.version, d.open_first, d.open_what,
       v.version AS v_version, v.valid_from, v.state, v.trigger, v.starts_at, v.ends_at, v.jitter, v.params, v.policies
  FROM due d JOIN sereno.schedule s ON s.id = d.schedule_id
  JOIN sereno.schedule_version v ON v.schedule_id = s.id
   AND v.version >= (SELECT max(x.version) FROM sereno.schedule_version x
                      WHERE x.schedule_id = s.id AND x.valid_from <= d.settled_to)
 ORDER BY d.wake_at, s.id, v.version;

-- name: agenda_of
-- $1 schedule ids. As agenda, for these.
SELECT s.id, s.name, s.job, s.paused_until, d.settled_to, d.next_slot, d.wake_at, d.version, d.open_first, d.open_what,
       v.version AS v_version, v.valid_from, v.state, v.trigger, v.starts_at, v.ends_at, v.jitter, v.params, v.policies
  FROM sereno.watermark d JOIN sereno.schedule s ON s.id = d.schedule_id
  JOIN sereno.schedule_version v ON v.schedule_id = s.id
   AND v.version >= (SELECT max(x.version) FROM sereno.schedule_version x
                      WHERE x.schedule_id = s.id AND x.valid_from <= d.settled_to)
 WHERE d.schedule_id = ANY($1::bigint[]) AND d.wake_at IS NOT NULL
 ORDER BY s.id, v.version;

-- name: settle
-- $1 term, $2 node
-- marks: $3 schedules, $4 old settled_to, $5 new settled_to, $6 next slots, $7 wake_at, $8 versions, $9 jobs,
--        $10 open_first, $11 open_what
-- slots: $12 schedules, $13 slots, $14 verdicts, $15 reasons
-- ranges: $16 schedules, $17 first, $18 last, $19 counts, $20 verdicts, $21 reasons
-- runs: $22 schedules, $23 slots, $24 jobs, $25 params, $26 policies, $27 priorities, $28 concurrency keys, $29 start
-- All of a schedule's settlement or, when its watermark or version has moved, nothing of it. Nothing at all when the
-- term has moved on. Returns a row per settled schedule and run.
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), mark AS (
    UPDATE sereno.watermark w SET settled_to = m.settled_to, next_slot = m.next_slot, wake_at = m.wake_at,
           open_first = m.open_first, open_what = m.open_what
      FROM unnest($3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::integer[],
                  $10::timestamptz[], $11::text[])
           AS m(id, old, settled_to, next_slot, wake_at, version, open_first, open_what), fence
     WHERE w.schedule_id = m.id AND w.settled_to = m.old AND w.version = m.version
    RETURNING w.schedule_id
), made AS (
    INSERT INTO sereno.run (job, state, cause, schedule_id, slot, priority, run_at, params, policies, concurrency_key,
                            attempt, node, term, started_at)
    SELECT r.job, CASE WHEN r.start THEN 'running' ELSE 'queued' END, 'slot', r.id, r.slot, r.priority, r.slot, r.params,
           r.policies, r.key, CASE WHEN r.start THEN 1 ELSE 0 END, CASE WHEN r.start THEN $2::uuid END,
           CASE WHEN r.start THEN $1::bigint END, CASE WHEN r.start THEN greatest(clock_timestamp(), r.slot) END
      FROM unnest($22::bigint[], $23::timestamptz[], $24::text[], $25::jsonb[], $26::jsonb[], $27::smallint[], $28::text[],
                  $29::boolean[]) WITH ORDINALITY AS r(id, slot, job, params, policies, priority, key, start, n)
      JOIN mark ON mark.schedule_id = r.id
     ORDER BY r.n
    RETURNING id, schedule_id, slot
), slots AS (
    INSERT INTO sereno.slot (schedule_id, slot, verdict, reason, run_id, term)
    SELECT s.id, s.slot, s.verdict, s.reason, made.id, $1
      FROM unnest($12::bigint[], $13::timestamptz[], $14::text[], $15::text[]) AS s(id, slot, verdict, reason)
      JOIN mark ON mark.schedule_id = s.id
      LEFT JOIN made ON made.schedule_id = s.id AND made.slot = s.slot
), ranges AS (
    INSERT INTO sereno.slot_range AS old (schedule_id, first_slot, last_slot, slots, verdict, reason, term)
    SELECT r.id, r.first_slot, r.last_slot, r.slots, r.verdict, r.reason, $1
      FROM unnest($16::bigint[], $17::timestamptz[], $18::timestamptz[], $19::bigint[], $20::text[], $21::text[])
           AS r(id, first_slot, last_slot, slots, verdict, reason)
      JOIN mark ON mark.schedule_id = r.id
    ON CONFLICT (schedule_id, first_slot) DO UPDATE
       SET last_slot = excluded.last_slot, slots = old.slots + excluded.slots, term = excluded.term,
           decided_at = clock_timestamp()
), counted AS (
    UPDATE sereno.job_stat j SET late = j.late + c.late, coalesced = j.coalesced + c.coalesced,
           skipped = j.skipped + c.skipped, missed = j.missed + c.missed
      FROM (SELECT m.job, coalesce(sum(x.n) FILTER (WHERE x.verdict = 'late'), 0) AS late,
                   coalesce(sum(x.n) FILTER (WHERE x.verdict = 'coalesced'), 0) AS coalesced,
                   coalesce(sum(x.n) FILTER (WHERE x.verdict = 'skipped'), 0) AS skipped,
                   coalesce(sum(x.n) FILTER (WHERE x.verdict = 'missed'), 0) AS missed
              FROM (SELECT id, 1 AS n, verdict FROM unnest($12::bigint[], $14::text[]) AS s(id, verdict)
                     WHERE verdict <> 'ran'
                    UNION ALL
                    SELECT id, n, verdict FROM unnest($16::bigint[], $19::bigint[], $20::text[]) AS r(id, n, verdict)) x
              JOIN mark ON mark.schedule_id = x.id
              JOIN unnest($3::bigint[], $9::text[]) AS m(id, job) ON m.id = x.id
             GROUP BY m.job) c
     WHERE j.job = c.job
)
SELECT mark.schedule_id, made.id AS run_id, made.slot
  FROM mark LEFT JOIN made ON made.schedule_id = mark.schedule_id;
