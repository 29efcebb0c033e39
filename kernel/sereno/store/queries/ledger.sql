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

-- name: watermarks_free
-- $1 schedules. Those of them whose watermark nobody keeps locked.
SELECT schedule_id FROM sereno.watermark WHERE schedule_id = ANY($1::bigint[]) FOR UPDATE SKIP LOCKED;

-- name: settle
-- $1 term, $2 node
-- marks: $3 schedules, $4 old settled_to, $5 new settled_to, $6 next slots, $7 wake_at, $8 versions, $9 jobs,
--        $10 open_first, $11 open_what; with the last slot of each: $12 slots (null: none), $13 verdicts, $14 reasons;
--        and its run: $15 start (null: no run), $16 params, $17 policies, $18 priorities, $19 concurrency keys,
--        $20 on time until, $21 start by
-- more slots: $22 schedules, $23 slots, $24 verdicts, $25 reasons
-- more runs: $26 schedules, $27 slots, $28 start, $29 params, $30 policies, $31 priorities, $32 concurrency keys,
--        $33 on time until, $34 start by
-- ranges: $35 schedules, $36 first, $37 last, $38 counts, $39 verdicts, $40 reasons
-- All of a schedule's settlement or, when its watermark or version has moved, nothing of it. Nothing at all when the
-- term has moved on.
-- Invariants: (schedule, slot) has one verdict, ever; watermark, verdicts, runs and counts move together, so that no crash
-- leaves a slot that was passed over; a watermark moves only from the value it was planned on. Why one statement and no
-- transaction: no lock outlives a round trip, so a leader that is frozen between two of them blocks nobody, and what it
-- sends on waking finds another term. The fence is KEY SHARE and `term` part of a unique key: the next term's UPDATE waits for
-- open fences, so nothing of the old term is under way after it, and neither fences nor heartbeats wait for one another.
-- Returns a row per settled schedule and run; a run that starts has its attempt's token (one that was to start and is past
-- its start_by by then has none, and is queued), and how late it is, if it is. (What a schedule mostly has, one slot and one
-- run, goes beside its mark: joined to the marks, a batch would cost the square of its size, as the planner cannot know its
-- size.)
WITH fence AS (
    SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE
), mark AS (  -- all that follows joins this: what it does not return is settled by nobody
    UPDATE sereno.watermark w SET settled_to = m.settled_to, next_slot = m.next_slot, due_by = m.next_slot + w.grace,
           wake_at = m.wake_at, open_first = m.open_first, open_what = m.open_what
      FROM unnest($3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::integer[],
                  $9::text[], $10::timestamptz[], $11::text[], $12::timestamptz[], $13::text[], $14::text[], $15::boolean[],
                  $16::jsonb[], $17::jsonb[], $18::smallint[], $19::text[], $20::timestamptz[], $21::timestamptz[])
           AS m(id, old, settled_to, next_slot, wake_at, version, job, open_first, open_what, slot, verdict, reason, start,
                params, policies, priority, key, on_time_until, start_by), fence
     WHERE w.schedule_id = m.id AND w.settled_to = m.old AND w.version = m.version
    RETURNING w.schedule_id, m.job, m.slot, m.start, m.params, m.policies, m.priority, m.key, m.on_time_until, m.start_by,
              m.verdict, m.reason, clock_timestamp() AS marked_at,  -- what waited here for a lock may be late by now
              CASE WHEN m.start IS NOT NULL THEN nextval('sereno.run_id_seq') END AS run_id
), one AS MATERIALIZED (  -- past its start_by a run does not begin: it is queued, and missed as such
    SELECT schedule_id, job, slot, start AND NOT over AS start, params, policies, priority, key, on_time_until, start_by, run_id,
           CASE WHEN start AND NOT over THEN gen_random_uuid() END AS token,
           CASE WHEN start AND over THEN 'waiting' WHEN start AND marked_at > on_time_until THEN 'late' ELSE verdict
           END AS verdict,
           CASE WHEN start AND over THEN NULL WHEN start AND marked_at > on_time_until THEN sereno.lateness(marked_at - slot)
                ELSE reason END AS reason
      FROM (SELECT *, coalesce(marked_at > start_by, false) AS over FROM mark) marked
), more_runs AS MATERIALIZED (  -- numbers and tokens are drawn once, and read three times
    SELECT schedule_id, job, slot, start AND NOT over AS start, start AND over AS held, params, policies, priority, key,
           on_time_until, start_by, nextval('sereno.run_id_seq') AS run_id,
           CASE WHEN start AND NOT over THEN gen_random_uuid() END AS token
      FROM (SELECT mark.schedule_id, mark.job, r.*, coalesce(mark.marked_at > r.start_by, false) AS over
              FROM unnest($26::bigint[], $27::timestamptz[], $28::boolean[], $29::jsonb[], $30::jsonb[], $31::smallint[],
                          $32::text[], $33::timestamptz[], $34::timestamptz[])
                   WITH ORDINALITY AS r(id, slot, start, params, policies, priority, key, on_time_until, start_by, n)
              JOIN mark ON mark.schedule_id = r.id) planned
     ORDER BY n
), more_slots AS (
    SELECT mark.schedule_id, mark.job, s.slot, r.run_id, CASE WHEN r.held THEN 'waiting' ELSE s.verdict END AS verdict,
           CASE WHEN r.held THEN NULL ELSE s.reason END AS reason
      FROM unnest($22::bigint[], $23::timestamptz[], $24::text[], $25::text[]) AS s(id, slot, verdict, reason)
      JOIN mark ON mark.schedule_id = s.id
      LEFT JOIN more_runs r ON r.schedule_id = s.id AND r.slot = s.slot
), started AS (
    SELECT schedule_id, job, slot, start, params, policies, priority, key, on_time_until, start_by, run_id, token
      FROM more_runs
    UNION ALL
    SELECT schedule_id, job, slot, start, params, policies, priority, key, on_time_until, start_by, run_id, token
      FROM one WHERE run_id IS NOT NULL
), made AS (
    INSERT INTO sereno.run (id, job, state, cause, schedule_id, slot, priority, run_at, params, policies, concurrency_key,
                            on_time_until, start_by, attempt, node, term, token, started_at) OVERRIDING SYSTEM VALUE
    SELECT run_id, job, CASE WHEN start THEN 'running' ELSE 'queued' END, 'slot', schedule_id, slot, priority, slot, params,
           policies, key, on_time_until, start_by, CASE WHEN start THEN 1 ELSE 0 END, CASE WHEN start THEN $2::uuid END,
           CASE WHEN start THEN $1::bigint END, token, CASE WHEN start THEN greatest(clock_timestamp(), slot) END
      FROM started
), slots AS (
    INSERT INTO sereno.slot (schedule_id, slot, verdict, reason, run_id, term)
    SELECT schedule_id, slot, verdict, reason, run_id, $1 FROM one WHERE slot IS NOT NULL
    UNION ALL
    SELECT schedule_id, slot, verdict, reason, run_id, $1 FROM more_slots
), more_ranges AS (
    SELECT mark.schedule_id, mark.job, r.first_slot, r.last_slot, r.slots, r.verdict, r.reason
      FROM unnest($35::bigint[], $36::timestamptz[], $37::timestamptz[], $38::bigint[], $39::text[], $40::text[])
           AS r(id, first_slot, last_slot, slots, verdict, reason)
      JOIN mark ON mark.schedule_id = r.id
), ranges AS (  -- an open range goes on under its first slot, as the planner says it does
    INSERT INTO sereno.slot_range AS old (schedule_id, first_slot, last_slot, slots, verdict, reason, term)
    SELECT schedule_id, first_slot, last_slot, slots, verdict, reason, $1 FROM more_ranges
    ON CONFLICT (schedule_id, first_slot) DO UPDATE
       SET last_slot = excluded.last_slot, slots = old.slots + excluded.slots, term = excluded.term,
           decided_at = clock_timestamp()
), counted AS (
    UPDATE sereno.job_stat j SET late = least(j.late, 1::bigint << 62) + c.late,
           coalesced = least(j.coalesced, 1::bigint << 62) + c.coalesced,
           skipped = least(j.skipped, 1::bigint << 62) + c.skipped, missed = least(j.missed, 1::bigint << 62) + c.missed
      FROM (SELECT job, coalesce(sum(n) FILTER (WHERE verdict = 'late'), 0) AS late,
                   coalesce(sum(n) FILTER (WHERE verdict = 'coalesced'), 0) AS coalesced,
                   coalesce(sum(n) FILTER (WHERE verdict = 'skipped'), 0) AS skipped,
                   coalesce(sum(n) FILTER (WHERE verdict = 'missed'), 0) AS missed
              FROM (SELECT job, 1 AS n, verdict FROM one WHERE verdict NOT IN ('ran', 'waiting')
                    UNION ALL
                    SELECT job, 1, verdict FROM more_slots WHERE verdict NOT IN ('ran', 'waiting')
                    UNION ALL
                    SELECT job, slots, verdict FROM more_ranges) x
             GROUP BY job) c
     WHERE j.job = c.job
)
SELECT schedule_id, run_id, slot, token, CASE verdict WHEN 'late' THEN reason END AS late FROM one
UNION ALL SELECT schedule_id, run_id, slot, token, NULL FROM more_runs;
