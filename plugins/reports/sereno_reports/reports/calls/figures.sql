-- The calls of [:start, :end) by the quarter hours that etl_ivr.aggregate keeps: as a whole, by :starts
-- (where each bucket begins), by queue and by agent, each a `part`. Calls count once, in the bucket in
-- which they began; a queue's figures count its entries. What is not known of all is NULL.
WITH quarters AS NOT MATERIALIZED (
  SELECT *, width_bucket(quarter, :starts) AS bucket FROM ivr.quarter_hours
  WHERE quarter >= :start AND quarter < :end AND source = ANY (:sources)
),
summed AS (
  SELECT grouping(bucket, queue, agent) AS grouped, bucket, queue, agent, direction,
    sum(calls) AS calls, sum(calls_answered) AS calls_answered, sum(calls_abandoned) AS calls_abandoned,
    sum(calls_short) AS calls_short, sum(calls_short_unknown) AS calls_short_unknown,
    sum(calls_in_level) AS calls_in_level, sum(calls_level_unknown) AS calls_level_unknown,
    sum(calls_ivr) AS calls_ivr, sum(calls_voicemail) AS calls_voicemail,
    sum(calls_rejected) AS calls_rejected, sum(calls_overflowed) AS calls_overflowed,
    sum(calls_open) AS calls_open, sum(calls_unanswered) AS calls_unanswered,
    sum(offered) AS offered, sum(answered) AS answered, sum(abandoned) AS abandoned,
    sum(short_abandons) AS short_abandons, sum(short_unknown) AS short_unknown,
    sum(in_level) AS in_level, sum(level_unknown) AS level_unknown,
    sum(left_queue) AS left_queue, sum(refused) AS refused,
    sum(waits_unknown) AS waits_unknown, sum(wait_seconds) AS wait_seconds,
    sum(handled) AS handled, sum(talk_seconds) AS talk_seconds, sum(talk_unknown) AS talk_unknown,
    sum(transfers) AS transfers, sum(missed) AS missed
  FROM quarters GROUP BY direction, GROUPING SETS ((), (bucket), (queue), (agent))
),
wait AS MATERIALIZED (
  SELECT queue, ceil(w) AS w, count(*) AS n
  FROM quarters CROSS JOIN LATERAL unnest(answered_waits) AS w
  WHERE direction = 'inbound' AND answered_waits <> '{}'
  GROUP BY 1, 2
),
ranked AS (
  SELECT grouping(queue) = 1 AS is_total, queue, w,
    sum(sum(n)) OVER (PARTITION BY grouping(queue), queue ORDER BY w) AS upto,
    sum(sum(n)) OVER (PARTITION BY grouping(queue), queue) AS every_one
  FROM wait GROUP BY GROUPING SETS ((w), (queue, w))
),
quantile AS (
  SELECT is_total, queue, min(w) FILTER (WHERE upto >= 0.5 * every_one) AS p50,
    min(w) FILTER (WHERE upto >= 0.9 * every_one) AS p90, max(w) AS longest
  FROM ranked GROUP BY 1, 2
),
gave_up AS (
  SELECT sum(w) AS seconds, count(*) AS people
  FROM quarters CROSS JOIN LATERAL unnest(abandoned_waits) AS w
  WHERE direction = 'inbound' AND abandoned_waits <> '{}'
),
-- One row where there were three: what was summed of each direction, NULL where it had no call.
counted AS (
  SELECT summed.grouped, summed.bucket, summed.queue, summed.agent,
    sum(inbound.calls) AS calls,
    sum(inbound.calls_answered) AS answered,
    sum(inbound.calls_abandoned - inbound.calls_short) AS abandoned,
    sum(inbound.calls_short) AS short,
    sum(inbound.calls_short_unknown) AS short_unknown,
    sum(inbound.calls_in_level) AS level_in,
    sum(inbound.calls_level_unknown) AS level_unknown,
    sum(inbound.calls_ivr) AS ivr,
    sum(inbound.calls_voicemail) AS voicemail,
    sum(inbound.calls_rejected) AS rejected,
    sum(inbound.calls_overflowed) AS overflowed,
    sum(inbound.calls_open) AS open,
    sum(outbound.calls) AS outbound,
    sum(outbound.calls_answered) AS outbound_answered,
    sum(internal.calls) AS internal,
    sum(inbound.offered) AS entries,
    sum(inbound.answered) AS entries_answered,
    sum(inbound.abandoned - inbound.short_abandons) AS entries_abandoned,
    sum(inbound.short_abandons) AS entries_short,
    sum(inbound.short_unknown) AS entries_short_unknown,
    sum(inbound.in_level) AS entries_in,
    sum(inbound.level_unknown) AS entries_level_unknown,
    sum(inbound.left_queue) AS entries_left,
    sum(inbound.refused) AS entries_refused,
    sum(inbound.waits_unknown) AS waits_unknown,
    sum(inbound.wait_seconds) AS wait_s,
    sum(inbound.handled) AS handled,
    sum(inbound.talk_seconds) AS talk_s,
    sum(inbound.handled - inbound.talk_unknown) AS talks,
    sum(inbound.transfers) AS transfers,
    sum(inbound.missed) AS missed,
    sum(outbound.handled) AS made,
    sum(outbound.talk_seconds) AS made_talk_s,
    sum(outbound.handled - outbound.talk_unknown) AS made_talks
  FROM summed
  LEFT JOIN LATERAL (SELECT summed.* WHERE summed.direction = 'inbound') AS inbound ON true
  LEFT JOIN LATERAL (SELECT summed.* WHERE summed.direction = 'outbound') AS outbound ON true
  LEFT JOIN LATERAL (SELECT summed.* WHERE summed.direction = 'internal') AS internal ON true
  GROUP BY 1, 2, 3, 4
),
-- A period or a bucket without a call is a row, too.
placed AS (
  SELECT 'total' AS part, NULL::text AS label, NULL::int AS n, NULL::text AS number, counted.*
  FROM (VALUES (7)) AS whole (sets) LEFT JOIN counted ON grouped = sets
  UNION ALL
  SELECT 'bucket', (:labels)[n], n::int, NULL, counted.*
  FROM generate_subscripts(:starts, 1) AS n LEFT JOIN counted ON grouped = 3 AND bucket = n
  UNION ALL
  SELECT 'queue', NULL, NULL, queue, counted.* FROM counted
  WHERE grouped = 5 AND queue IS NOT NULL AND entries + coalesce(entries_refused, 0) > 0
  UNION ALL
  SELECT 'agent', NULL, NULL, agent, counted.* FROM counted
  WHERE grouped = 6 AND agent IS NOT NULL AND coalesce(handled, 0) + coalesce(missed, 0) + coalesce(made, 0) > 0
)
SELECT part, label, number,
  coalesce(calls, 0) AS calls,
  coalesce(answered + abandoned + voicemail + overflowed, 0) AS offered,
  coalesce(answered, 0) AS answered, coalesce(abandoned, 0) AS abandoned,
  CASE WHEN coalesce(short_unknown, 0) = 0 THEN coalesce(short, 0) END AS short,
  coalesce(voicemail, 0) AS voicemail, coalesce(overflowed, 0) AS overflowed, coalesce(ivr, 0) AS ivr,
  coalesce(rejected, 0) AS rejected, coalesce(open, 0) AS open,
  coalesce(voicemail + overflowed, 0) AS elsewhere,
  coalesce(calls - answered - abandoned - ivr, 0) AS rest,
  coalesce(outbound, 0) AS outbound, coalesce(outbound_answered, 0) AS outbound_answered,
  coalesce(internal, 0) AS internal,
  CASE WHEN coalesce(level_unknown + short_unknown, 0) = 0 THEN coalesce(level_in, 0) END AS level_in,
  coalesce(answered + abandoned, 0) AS level_of,
  coalesce(entries - entries_short, 0) AS entries, coalesce(entries_answered, 0) AS entries_answered,
  coalesce(entries_abandoned, 0) AS entries_abandoned,
  CASE WHEN coalesce(entries_short_unknown, 0) = 0 THEN coalesce(entries_short, 0) END AS entries_short,
  coalesce(entries_left, 0) AS entries_left, coalesce(entries_refused, 0) AS entries_refused,
  CASE WHEN coalesce(entries_level_unknown + entries_short_unknown, 0) = 0 THEN coalesce(entries_in, 0) END
    AS entries_level_in,
  coalesce(entries_answered + entries_abandoned, 0) AS entries_level_of,
  CASE WHEN coalesce(waits_unknown, 0) = 0 THEN coalesce(wait_s, 0) END AS wait_s,
  CASE WHEN coalesce(waits_unknown, 0) = 0 THEN coalesce(entries_answered, 0) END AS waits,
  CASE WHEN coalesce(waits_unknown, 0) = 0 THEN p50 END AS wait_p50,
  CASE WHEN coalesce(waits_unknown, 0) = 0 THEN p90 END AS wait_p90,
  CASE WHEN coalesce(waits_unknown, 0) = 0 THEN longest END AS wait_longest,
  CASE WHEN part = 'total' AND gave_up.people = entries_abandoned + entries_short THEN gave_up.seconds / nullif(gave_up.people, 0)
  END AS gave_up_after,
  coalesce(handled, 0) AS handled, coalesce(talk_s, 0) AS talk_s, coalesce(talks, 0) AS talks,
  transfers, coalesce(missed, 0) AS missed,
  coalesce(made, 0) AS made, coalesce(made_talk_s, 0) AS made_talk_s, coalesce(made_talks, 0) AS made_talks
FROM placed
LEFT JOIN quantile ON (placed.part = 'total' AND quantile.is_total)
  OR (placed.part = 'queue' AND NOT quantile.is_total AND quantile.queue = placed.number)
CROSS JOIN gave_up
ORDER BY part, n,
  CASE part WHEN 'queue' THEN -coalesce(placed.entries, 0) ELSE -coalesce(handled, 0) - coalesce(made, 0) END, number
