-- Makes each quarter hour anew in which a fact has changed; those that are frozen stay as they are.
CREATE TEMP TABLE stale ON COMMIT DROP AS
SELECT DISTINCT q.source, q.quarter
FROM pg_temp.quarter AS q LEFT JOIN ivr.aggregated AS kept USING (source)
WHERE kept.frozen_before IS NULL OR q.quarter >= kept.frozen_before;

ANALYZE pg_temp.stale;

DELETE FROM ivr.quarter_hours AS q USING pg_temp.stale AS s
WHERE q.quarter = s.quarter AND q.source = s.source;

INSERT INTO ivr.quarter_hours
WITH fact AS MATERIALIZED (
  SELECT f.* FROM pg_temp.stale JOIN ivr.call_facts AS f USING (source, quarter) WHERE outcome <> 'ring'
),
any_fact AS MATERIALIZED (
  SELECT f.source, f.quarter, f.call, f.direction, f.did
  FROM pg_temp.stale JOIN ivr.call_facts AS f USING (source, quarter)
),
part AS (
  SELECT 'call' AS kind, source, quarter, queue, agent, direction, did, origin, outcome,
         wait_seconds AS wait, wait_at_most AS most, NULL::numeric AS talk, 0 AS conversations,
         0 AS talk_unknown, NULL::int AS transfers, 0 AS missed
  FROM fact
  UNION ALL
  SELECT 'visit', f.source, f.quarter, v.queue, v.agent, f.direction, f.did, v.origin, v.outcome,
         v.wait_seconds, v.wait_at_most, NULL, 0, 0, NULL, 0
  FROM fact AS f JOIN ivr.queue_visits AS v USING (source, call)
  UNION ALL
  SELECT 'agent', f.source, f.quarter, a.queue, a.agent, f.direction, f.did, a.origin, NULL,
         NULL, NULL, a.talk_seconds, a.conversations, a.talk_unknown, a.transfers, a.missed
  FROM any_fact AS f JOIN ivr.agent_calls AS a USING (source, call)
),
judged AS (
  SELECT part.*, outcome = 'answered' AND direction <> 'outbound' AS is_answered,
    outcome = 'abandoned' AS is_abandoned,
    coalesce(wait, most) <= rule.level AS in_time,
    wait IS NULL AND coalesce(most > rule.level, true) AS time_unknown,
    coalesce(wait, most) <= rule.short AS is_short,
    wait IS NULL AND coalesce(most > rule.short, true) AS short_unknown
  FROM part CROSS JOIN pg_temp.rule
),
counted AS (
  SELECT source, quarter, queue, agent, direction, did, origin,
    count(*) FILTER (WHERE kind = 'call') AS calls,
    count(*) FILTER (WHERE kind = 'call' AND outcome = 'answered') AS calls_answered,
    count(*) FILTER (WHERE kind = 'call' AND is_abandoned) AS calls_abandoned,
    count(*) FILTER (WHERE kind = 'call' AND is_abandoned AND is_short) AS calls_short,
    count(*) FILTER (WHERE kind = 'call' AND is_abandoned AND short_unknown) AS calls_short_unknown,
    count(*) FILTER (WHERE kind = 'call' AND is_answered AND in_time) AS calls_in_level,
    count(*) FILTER (WHERE kind = 'call' AND is_answered AND time_unknown) AS calls_level_unknown,
    count(*) FILTER (WHERE kind = 'call' AND outcome = 'ivr') AS calls_ivr,
    count(*) FILTER (WHERE kind = 'call' AND outcome = 'voicemail') AS calls_voicemail,
    count(*) FILTER (WHERE kind = 'call' AND outcome = 'rejected') AS calls_rejected,
    count(*) FILTER (WHERE kind = 'call' AND outcome = 'overflowed') AS calls_overflowed,
    count(*) FILTER (WHERE kind = 'call' AND outcome = 'unanswered') AS calls_unanswered,
    count(*) FILTER (WHERE kind = 'call' AND outcome = 'open') AS calls_open,
    count(*) FILTER (WHERE kind = 'visit' AND outcome NOT IN ('refused', 'open')) AS offered,
    count(*) FILTER (WHERE kind = 'visit' AND outcome = 'answered') AS answered,
    count(*) FILTER (WHERE kind = 'visit' AND is_abandoned) AS abandoned,
    count(*) FILTER (WHERE kind = 'visit' AND is_abandoned AND is_short) AS short_abandons,
    count(*) FILTER (WHERE kind = 'visit' AND is_abandoned AND short_unknown) AS short_unknown,
    count(*) FILTER (WHERE kind = 'visit' AND outcome = 'answered' AND in_time) AS in_level,
    count(*) FILTER (WHERE kind = 'visit' AND outcome = 'answered' AND time_unknown) AS level_unknown,
    count(*) FILTER (WHERE kind = 'visit' AND outcome IN ('timeout', 'key', 'empty')) AS left_queue,
    count(*) FILTER (WHERE kind = 'visit' AND outcome = 'refused') AS refused,
    count(*) FILTER (WHERE kind = 'visit' AND outcome = 'open') AS open,
    count(*) FILTER (WHERE kind = 'visit' AND outcome = 'answered' AND wait IS NULL) AS waits_unknown,
    coalesce(sum(wait) FILTER (WHERE kind = 'visit' AND outcome = 'answered'), 0) AS wait_seconds,
    coalesce(array_agg(wait::double precision ORDER BY wait)
      FILTER (WHERE kind = 'visit' AND outcome = 'answered' AND wait IS NOT NULL), '{}') AS answered_waits,
    coalesce(array_agg(wait::double precision ORDER BY wait)
      FILTER (WHERE kind = 'visit' AND is_abandoned AND wait IS NOT NULL), '{}') AS abandoned_waits,
    sum(conversations) AS handled,
    coalesce(sum(talk), 0) AS talk_seconds,
    sum(talk_unknown) AS talk_unknown,
    sum(transfers) AS transfers,
    sum(missed) AS missed
  FROM judged
  GROUP BY 1, 2, 3, 4, 5, 6, 7
)
SELECT source, quarter, queue, agent, direction, did, origin, calls, calls_answered, calls_abandoned,
  calls_short, calls_short_unknown, calls_in_level, calls_level_unknown, calls_ivr, calls_voicemail,
  calls_rejected, calls_overflowed, calls_unanswered, calls_open, offered, answered, abandoned,
  short_abandons, short_unknown, in_level, level_unknown, left_queue, refused, open,
  waits_unknown, wait_seconds, answered_waits, abandoned_waits, handled, talk_seconds, talk_unknown, transfers, NULL, missed
FROM counted;
