-- name: aggregate_affected
-- Whose facts may differ now: the calls and callers with a row in what was touched, or whose facts came
-- of a row there that is gone, and whoever is joined to them. The large tables are asked key by key
-- (LATERAL ... OFFSET 0), whatever a planner without statistics thinks of them. Facts that reach further
-- than an hour (10,000 in positions) have an index of their own: the others end soon behind what was touched.
ANALYZE pg_temp.touch;

INSERT INTO pg_temp.own (source, callid)
SELECT e.source, e.callid
FROM pg_temp.touch AS t
JOIN ivr.queue_events AS e ON e.source = t.source AND e.position >= t.first AND e.position < t.past
WHERE t.target = 'ivr.queue_events' AND e.callid <> '' AND e.callid <> 'NONE'
UNION
SELECT v.source, v.callid
FROM pg_temp.touch AS t
JOIN ivr.queue_visits AS v ON v.source = t.source AND v.last_position >= t.first
  AND v.last_position < t.past + 10000 AND v.first_position < t.past
WHERE t.target = 'ivr.queue_events' AND t.changed AND v.origin = 'queue_events'
UNION
SELECT v.source, v.callid
FROM pg_temp.touch AS t
JOIN ivr.queue_visits AS v ON v.source = t.source AND v.last_position >= t.first
  AND v.last_position - v.first_position > 10000 AND v.first_position < t.past
WHERE t.target = 'ivr.queue_events' AND t.changed AND v.origin = 'queue_events';

INSERT INTO pg_temp.affected (source, call)
SELECT c.source, coalesce(nullif(c.linkedid, ''), c.uniqueid)
FROM pg_temp.touch AS t
JOIN ivr.calls AS c ON c.source = t.source AND c.position >= t.first AND c.position < t.past
WHERE t.target = 'ivr.calls' AND coalesce(nullif(c.linkedid, ''), c.uniqueid) <> ''
UNION
SELECT f.source, f.call
FROM pg_temp.touch AS t
JOIN ivr.call_facts AS f ON f.source = t.source AND f.last_position >= t.first
  AND f.last_position < t.past + 10000 AND f.first_position < t.past
WHERE t.target = 'ivr.calls' AND t.changed
UNION
SELECT f.source, f.call
FROM pg_temp.touch AS t
JOIN ivr.call_facts AS f ON f.source = t.source AND f.last_position >= t.first
  AND f.last_position - f.first_position > 10000 AND f.first_position < t.past
WHERE t.target = 'ivr.calls' AND t.changed
UNION
SELECT i.source, coalesce(nullif(c.linkedid, ''), c.uniqueid)
FROM pg_temp.own AS i CROSS JOIN LATERAL (
  SELECT linkedid, uniqueid FROM ivr.calls AS c
  WHERE c.source = i.source AND c.uniqueid = i.callid AND c.uniqueid IS DISTINCT FROM c.linkedid OFFSET 0
) AS c
UNION
SELECT e.source, e.linkedid
FROM pg_temp.touch AS t
JOIN ivr.channel_events AS e ON e.source = t.source AND e.position >= t.first AND e.position < t.past
WHERE t.target = 'ivr.channel_events' AND e.linkedid <> ''
UNION
SELECT h.source, h.call
FROM pg_temp.touch AS t
JOIN ivr.call_holds AS h ON h.source = t.source AND h.last_position >= t.first
  AND h.last_position < t.past + 10000 AND h.first_position < t.past
WHERE t.target = 'ivr.channel_events' AND t.changed
UNION
SELECT h.source, h.call
FROM pg_temp.touch AS t
JOIN ivr.call_holds AS h ON h.source = t.source AND h.last_position >= t.first
  AND h.last_position - h.first_position > 10000 AND h.first_position < t.past
WHERE t.target = 'ivr.channel_events' AND t.changed
UNION
SELECT source, callid FROM pg_temp.own
UNION
SELECT i.source, v.call FROM pg_temp.own AS i CROSS JOIN LATERAL (
  SELECT call FROM ivr.queue_visits AS v WHERE v.source = i.source AND v.callid = i.callid OFFSET 0
) AS v;

-- name: aggregate_agents
-- What each agent had of each call. A conversation that the queue tells of is not counted from the legs
-- again: of those that overlap, the queue's is taken. Of the legs of one agent, the telephone's own tells
-- (1), else a Local channel's (2), else the caller's in the queue (3), whose seconds are not the agent's.
INSERT INTO ivr.agent_calls
  (source, call, agent, queue, conversations, talk_seconds, talk_unknown, transfers, missed, origin, holds,
   hold_seconds)
WITH begun AS (
  SELECT source, call, min(started_at) AS begun,
         bool_or(first_leg AND dcontext ~ rule.outbound_context) AS is_outbound,
         min(queue) FILTER (WHERE app = 'queue') AS queue
  FROM pg_temp.leg CROSS JOIN pg_temp.rule GROUP BY source, call
),
spoken AS (
  SELECT source, call, agent, queue, connected_at AS at, talk_seconds AS talk, transfers, 'queue_events' AS origin
  FROM pg_temp.visit WHERE origin = 'queue_events' AND outcome = 'answered' AND agent IS NOT NULL
),
part AS (
  SELECT leg.source, leg.call, leg.uniqueid, leg.dstchannel, leg.started_at, leg.ended_at, leg.billsec, leg.linked,
    begun.queue,
    coalesce(leg.agent, substring(leg.channel FROM '/([^-@/;]+)')) AS agent,
    CASE WHEN leg.app = 'queue' THEN 3 WHEN leg.dstchannel LIKE 'Local/%' THEN 2 ELSE 1 END AS rank,
    leg.ended_at - leg.billsec * interval '1 second' AS at,
    -- Before an IVR's channel is connected, it was answered: its billsec is no conversation.
    leg.app = 'queue' OR (NOT begun.is_outbound AND leg.first_leg AND leg.channel NOT LIKE 'Local/%'
                          AND leg.duration - leg.billsec <= 2) AS is_unknown
  FROM pg_temp.leg AS leg
  JOIN begun USING (source, call)
  CROSS JOIN pg_temp.rule
  WHERE leg.answered AND (
    leg.agent IS NOT NULL
    OR begun.is_outbound AND leg.dstchannel <> '' AND leg.app <> 'queue' AND leg.channel ~ rule.agent_channel
  )
),
own AS (
  SELECT part.*, min(rank) OVER (PARTITION BY source, call, agent) AS best
  FROM part
  WHERE NOT EXISTS (
    SELECT FROM spoken
    WHERE spoken.source = part.source AND spoken.call = part.call AND (
      part.rank = 3 OR part.is_unknown AND spoken.agent = part.agent
      OR spoken.talk IS NULL AND spoken.agent = part.agent
      OR 2 * extract(epoch FROM
           least(part.ended_at, spoken.at + spoken.talk * interval '1 second') - greatest(part.at, spoken.at))
         >= least(part.billsec, spoken.talk)
    )
  )
  -- Without a linkedid the other half of a Local channel tells, as a ring without a name.
  AND NOT (dstchannel LIKE 'Local/%' AND NOT linked)
),
told AS (
  SELECT source, call, agent, queue, at, CASE WHEN NOT is_unknown THEN billsec END AS talk,
         CASE WHEN lead(agent) OVER following <> agent THEN 1 ELSE 0 END AS transfers
  FROM own WHERE rank = best
  WINDOW following AS (PARTITION BY source, call ORDER BY at, started_at, agent)
),
talk AS (
  SELECT source, call, agent, queue, talk, transfers, origin FROM spoken
  UNION ALL
  SELECT source, call, agent, queue, talk, transfers, 'calls' FROM told
),
missed AS (
  SELECT i.source, i.call,
         coalesce(substring(e.agent FROM '^[A-Za-z0-9]+/([^-@/;]+)'), e.agent) AS agent,
         nullif(e.queuename, '') AS queue, count(*)::int AS missed, 'queue_events' AS origin
  FROM pg_temp.caller AS i CROSS JOIN LATERAL (
    SELECT * FROM ivr.queue_events AS e WHERE e.source = i.source AND e.callid = i.callid OFFSET 0
  ) AS e
  WHERE upper(e.event) = 'RINGNOANSWER' AND e.ordinal = 1 AND e.agent <> '' AND e.agent <> 'NONE'
  GROUP BY 1, 2, 3, 4
  UNION ALL
  SELECT leg.source, leg.call, leg.agent, begun.queue, count(*)::int, 'calls'
  FROM pg_temp.leg AS leg JOIN begun USING (source, call)
  WHERE NOT leg.answered AND leg.agent IS NOT NULL AND leg.app <> 'queue'
    AND NOT EXISTS (SELECT FROM pg_temp.visit AS visit WHERE visit.source = leg.source AND visit.call = leg.call
                      AND visit.origin = 'queue_events')
    AND (leg.dstchannel NOT LIKE 'Local/%' OR NOT EXISTS (
      SELECT FROM pg_temp.leg AS phone
      WHERE phone.source = leg.source AND phone.call = leg.call AND phone.agent = leg.agent
        AND phone.dstchannel NOT LIKE 'Local/%'))
  GROUP BY 1, 2, 3, 4
),
summed AS (
  SELECT source, call, agent, queue, sum(conversations) AS conversations, sum(talk) AS talk,
         sum(talk_unknown) AS talk_unknown, sum(transfers) AS transfers, sum(missed) AS missed, min(origin) AS origin,
         row_number() OVER (PARTITION BY source, call, agent ORDER BY sum(conversations) = 0, queue) = 1 AS is_first
  FROM (
    SELECT source, call, agent, queue, 1 AS conversations, talk,
           CASE WHEN talk IS NULL THEN 1 ELSE 0 END AS talk_unknown, transfers, 0 AS missed, origin FROM talk
    UNION ALL
    SELECT source, call, agent, queue, 0, NULL, 0, 0, missed, origin FROM missed
  ) AS every_one
  GROUP BY source, call, agent, queue
),
-- Silence says that nobody held only where the exchange does tell of holds, and has told of this call.
held AS (
  SELECT a.source, a.call, h.agent, h.holds, h.hold_seconds
  FROM pg_temp.affected AS a CROSS JOIN LATERAL (
    SELECT * FROM ivr.call_holds AS h WHERE h.source = a.source AND h.call = a.call OFFSET 0
  ) AS h
  LEFT JOIN ivr.aggregated AS kept ON kept.source = a.source
  WHERE h.agent IS NOT NULL OR kept.tells_holds
)
SELECT source, call, agent, queue, conversations, talk, talk_unknown, transfers, missed, origin,
  CASE WHEN conversations = 0 OR held.agent IS NOT NULL AND NOT is_first OR held.agent IS NULL AND is_told THEN 0
       WHEN hold_seconds IS NOT NULL THEN holds END,
  CASE WHEN conversations = 0 OR held.agent IS NOT NULL AND NOT is_first OR held.agent IS NULL AND is_told THEN 0
       ELSE hold_seconds END
FROM summed
LEFT JOIN held USING (source, call, agent)
LEFT JOIN (SELECT DISTINCT source, call, true AS is_told FROM held WHERE agent IS NULL) AS told_of USING (source, call);

-- name: aggregate_all_noted
-- $1: the sources that were noted as a whole. $2: the rules. $3..$5: sources, tables and what was not noted of each.
WITH noted AS (
  UPDATE ivr.watermarks AS w SET noted = w.noted + told.gap
  FROM unnest($3::text[], $4::text[], $5::bigint[]) AS told (source, table_name, gap)
  WHERE w.source = told.source AND w.table_name = told.table_name AND told.gap <> 0
)
INSERT INTO ivr.aggregated (source, rules, joins_locals) SELECT source, $2, true FROM unnest($1::text[]) AS source
ON CONFLICT (source) DO UPDATE SET rules = excluded.rules, joins_locals = true;

-- name: aggregate_callers
-- Whose queue events belong to which call.
INSERT INTO pg_temp.own (source, callid)
SELECT a.source, c.uniqueid FROM pg_temp.affected AS a CROSS JOIN LATERAL (
  SELECT uniqueid FROM ivr.calls AS c WHERE c.source = a.source AND c.linkedid = a.call OFFSET 0
) AS c
WHERE c.uniqueid <> ''
UNION
SELECT a.source, v.callid FROM pg_temp.affected AS a CROSS JOIN LATERAL (
  SELECT callid FROM ivr.queue_visits AS v WHERE v.source = a.source AND v.call = a.call OFFSET 0
) AS v
UNION
SELECT source, call FROM pg_temp.affected
ON CONFLICT DO NOTHING;

INSERT INTO pg_temp.root (place, call)
SELECT found.place, root.uniqueid
FROM pg_temp.local_roots(ARRAY (
  SELECT c.place FROM pg_temp.own AS i CROSS JOIN LATERAL (
    SELECT ctid AS place FROM ivr.calls AS c
    WHERE c.source = i.source AND c.uniqueid = i.callid AND coalesce(c.linkedid, '') = ''
      AND c.uniqueid IS DISTINCT FROM c.linkedid AND c.channel LIKE 'Local/%' OFFSET 0
  ) AS c
)) AS found CROSS JOIN LATERAL (SELECT uniqueid FROM ivr.calls AS r WHERE r.ctid = found.root OFFSET 0) AS root;

ANALYZE pg_temp.root;

-- A caller whose channel stands in several calls belongs to one of them.
INSERT INTO pg_temp.caller (source, callid, call)
SELECT i.source, i.callid, coalesce(least(
  (SELECT min(CASE WHEN coalesce(c.linkedid, '') <> '' THEN c.linkedid
                   WHEN c.channel LIKE 'Local/%' THEN (SELECT call FROM pg_temp.root WHERE root.place = c.ctid)
                   ELSE c.uniqueid END) FROM ivr.calls AS c
   WHERE c.source = i.source AND c.uniqueid = i.callid AND c.uniqueid IS DISTINCT FROM c.linkedid),
  (SELECT i.callid WHERE EXISTS (
     SELECT FROM ivr.calls AS c
     WHERE c.source = i.source AND c.linkedid = i.callid AND c.uniqueid = i.callid))
), i.callid)
FROM pg_temp.own AS i;

INSERT INTO pg_temp.affected (source, call)
SELECT source, call FROM pg_temp.caller
UNION
SELECT i.source, v.call FROM pg_temp.caller AS i CROSS JOIN LATERAL (
  SELECT call FROM ivr.queue_visits AS v WHERE v.source = i.source AND v.callid = i.callid OFFSET 0
) AS v
ON CONFLICT DO NOTHING;

ANALYZE pg_temp.affected;
ANALYZE pg_temp.caller;

-- name: aggregate_calls
-- Each affected call as a whole: what became of it, whoever rang and however often it was passed on.
INSERT INTO ivr.call_facts
  (source, call, quarter, started_at, ended_at, direction, did, caller, queue, agent, outcome,
   wait_seconds, wait_at_most, legs, origin, first_position, last_position, caller_name, callee)
WITH visit AS (
  SELECT v.source, v.call,
    min(entered_at) AS entered_at,
    max(greatest(entered_at + coalesce(wait_seconds, 0) * interval '1 second',
                 connected_at + coalesce(talk_seconds, 0) * interval '1 second')) AS over,
    (array_agg(queue ORDER BY entered_at, n, queue))[1] AS queue,
    (array_agg(agent ORDER BY connected_at, n, agent) FILTER (WHERE outcome = 'answered'))[1] AS agent,
    bool_or(outcome = 'answered') AS answered,
    (array_agg(outcome ORDER BY entered_at DESC, n DESC, queue DESC))[1] AS last_outcome,
    min(connected_at) FILTER (WHERE outcome = 'answered') AS connected_at,
    max(entered_at + wait_seconds * interval '1 second') FILTER (WHERE outcome = 'abandoned') AS gave_up_at,
    min(wait_at_most) FILTER (WHERE outcome = 'answered') AS answered_at_most,
    max(wait_at_most) FILTER (WHERE outcome = 'abandoned') AS gave_up_at_most,
    bool_or(origin = 'queue_events') AS has_events
  FROM pg_temp.visit AS v
  GROUP BY 1, 2
),
whole AS (
  SELECT leg.source, leg.call, min(started_at) AS started_at, max(ended_at) AS ended_at,
    count(*)::int AS legs, bool_and(half) AS half,
    min(position) AS first_position, max(position) AS last_position,
    (array_agg(did ORDER BY first_leg DESC, started_at, did) FILTER (WHERE did IS NOT NULL))[1] AS did,
    min(dst) FILTER (WHERE first_leg) AS callee, min(src) FILTER (WHERE first_leg) AS caller, min(src_name) FILTER (WHERE first_leg) AS caller_name,
    bool_or(first_leg AND dcontext ~ rule.outbound_context) AS is_outbound,
    bool_or(agent IS NOT NULL OR app = 'queue') AS reached,
    bool_or(dstchannel <> '' AND agent IS NULL) AS left_the_house,
    bool_or(agent IS NOT NULL) AS reached_agent,
    bool_or(answered AND agent IS NOT NULL) AS with_agent,
    bool_or(answered AND dstchannel <> '') AS connected,
    bool_or(app LIKE 'voicemail%') AS voicemail,
    bool_or(dcontext LIKE 'app-blackhole%') AS rejected,
    min(ended_at - billsec * interval '1 second') FILTER (WHERE answered AND agent IS NOT NULL AND app <> 'queue'
      AND NOT (first_leg AND channel NOT LIKE 'Local/%' AND duration - billsec <= 2)) AS answered_at,
    min(ended_at) FILTER (WHERE answered AND agent IS NOT NULL) AS surely_answered_at,
    (array_agg(agent ORDER BY app = 'queue', dstchannel LIKE 'Local/%', started_at, sequence NULLS LAST, agent)
      FILTER (WHERE answered AND agent IS NOT NULL))[1] AS agent,
    min(substring(channel FROM '/([^-@/;]+)')) FILTER (WHERE first_leg AND channel ~ rule.agent_channel) AS own_agent
  FROM pg_temp.leg AS leg CROSS JOIN pg_temp.rule
  GROUP BY 1, 2
),
joined AS (
  SELECT affected.source, affected.call,
    coalesce(whole.started_at, visit.entered_at) AS started_at,
    greatest(whole.ended_at, visit.over, visit.entered_at) AS ended_at,
    CASE WHEN NOT coalesce(is_outbound, false) THEN 'inbound'
         WHEN left_the_house OR NOT reached THEN 'outbound'
         ELSE 'internal' END AS direction,
    did, caller, caller_name, callee, visit.queue, visit.entered_at, visit.connected_at, visit.gave_up_at, has_events,
    visit.answered AS queue_answered, last_outcome, answered_at_most, gave_up_at_most, visit.agent AS queue_agent,
    whole.agent AS leg_agent, own_agent, coalesce(legs, 0) AS legs, coalesce(half, false) AS half, reached, with_agent,
    connected, voicemail, rejected, answered_at, surely_answered_at, whole.started_at AS leg_started_at,
    whole.ended_at AS leg_ended_at, first_position, last_position,
    visit.call IS NOT NULL AS has_visit
  FROM pg_temp.affected AS affected
  LEFT JOIN whole USING (source, call)
  LEFT JOIN visit USING (source, call)
),
judged AS (
  SELECT *,
    CASE
      WHEN half THEN 'ring'
      WHEN queue_answered THEN 'answered'
      WHEN direction = 'outbound' THEN CASE WHEN connected THEN 'answered' ELSE 'unanswered' END
      WHEN with_agent THEN 'answered'
      WHEN last_outcome = 'open' THEN 'open'
      WHEN last_outcome = 'abandoned' AND has_events THEN 'abandoned'
      WHEN voicemail THEN 'voicemail'
      WHEN rejected THEN 'rejected'
      WHEN has_visit AND has_events THEN 'overflowed'
      WHEN direction = 'internal' THEN 'unanswered'
      WHEN reached THEN 'abandoned'
      ELSE 'ivr'
    END AS outcome
  FROM joined WHERE started_at IS NOT NULL
),
timed AS (
  SELECT *,
    CASE
      WHEN outcome = 'answered' AND direction <> 'outbound' THEN
        CASE WHEN has_events AND queue_answered THEN extract(epoch FROM connected_at - entered_at)
             WHEN has_events THEN extract(epoch FROM answered_at - entered_at)
             WHEN NOT has_visit THEN extract(epoch FROM answered_at - leg_started_at) END
      WHEN outcome = 'abandoned' THEN
        CASE WHEN has_events THEN extract(epoch FROM gave_up_at - entered_at) END
    END AS wait
  FROM judged
)
SELECT source, call, date_bin('15 minutes', started_at, '2000-01-01+00'), started_at, ended_at, direction,
  did, nullif(caller, ''), queue,
  CASE WHEN direction = 'outbound' THEN own_agent
       WHEN outcome = 'answered' THEN coalesce(queue_agent, leg_agent) END,
  outcome, CASE WHEN wait < 0 THEN 0 ELSE wait END,
  CASE WHEN outcome = 'answered' AND direction <> 'outbound' THEN
         coalesce(CASE WHEN wait < 0 THEN 0 ELSE wait END, answered_at_most, extract(epoch FROM surely_answered_at - leg_started_at))
       WHEN outcome = 'abandoned' THEN
         coalesce(CASE WHEN wait < 0 THEN 0 ELSE wait END, gave_up_at_most, extract(epoch FROM leg_ended_at - leg_started_at)) END,
  legs, CASE WHEN has_events THEN 'queue_events' ELSE 'calls' END, first_position, last_position, caller_name,
  CASE WHEN direction = 'outbound' THEN coalesce(callee, '') END
FROM timed;

INSERT INTO pg_temp.quarter
SELECT DISTINCT a.source, f.quarter FROM pg_temp.affected AS a CROSS JOIN LATERAL (
  SELECT quarter FROM ivr.call_facts AS f WHERE f.source = a.source AND f.call = a.call OFFSET 0
) AS f;

-- name: aggregate_callees
-- Says whom outbound calls were for, of facts that do not say it yet: the number of the first leg, as in aggregate_legs.
-- $1: the sources. $2: at most so many. Returns how many.
WITH bare AS MATERIALIZED (
  SELECT source, call FROM ivr.call_facts
  WHERE source = ANY ($1) AND direction = 'outbound' AND callee IS NULL LIMIT $2
),
filled AS (
  UPDATE ivr.call_facts AS f SET callee = coalesce((
    SELECT c.dst FROM (
      SELECT * FROM ivr.calls AS c WHERE c.source = bare.source AND c.linkedid = bare.call
      UNION ALL
      SELECT * FROM ivr.calls AS c
      WHERE c.source = bare.source AND c.uniqueid = bare.call AND coalesce(c.linkedid, '') = ''
        AND c.uniqueid IS DISTINCT FROM c.linkedid
    ) AS c
    WHERE c.started_at IS NOT NULL
    ORDER BY c.uniqueid = bare.call DESC, c.started_at, c.sequence NULLS LAST, lower(coalesce(c.lastapp, '')) = 'queue' DESC,
             coalesce(c.dcontext, ''), coalesce(c.dst, ''), coalesce(c.dstchannel, ''), c.duration, c.billsec
    LIMIT 1
  ), '')
  FROM bare WHERE f.source = bare.source AND f.call = bare.call RETURNING 1
)
SELECT count(*) FROM filled;

-- name: aggregate_counts
-- What the chunk made anew.
SELECT (SELECT count(*) FROM pg_temp.affected) AS calls, (SELECT count(*) FROM pg_temp.stale) AS quarters;

-- name: aggregate_figure
-- {column}: a text that should be a number of seconds; what stands behind a bar belongs to the next.
CASE WHEN split_part({column}, '|', 1) ~ '^[0-9]{{1,8}}(\.[0-9]{{1,6}})?$' THEN split_part({column}, '|', 1)::numeric END;

-- name: aggregate_frozen
-- Calls of quarter hours that are frozen stay as they were told: of their rows some or all are gone.
CREATE TEMP TABLE frozen ON COMMIT DROP AS
SELECT a.source, a.call
FROM ivr.aggregated AS kept
JOIN pg_temp.affected AS a USING (source)
LEFT JOIN (SELECT source, call, min(started_at) AS started_at FROM pg_temp.leg GROUP BY 1, 2) AS whole USING (source, call)
LEFT JOIN LATERAL (
  SELECT quarter FROM ivr.call_facts AS f WHERE f.source = a.source AND f.call = a.call OFFSET 0
) AS fact ON true
WHERE kept.frozen_before IS NOT NULL AND coalesce(fact.quarter, whole.started_at) < kept.frozen_before;

DELETE FROM pg_temp.affected AS a USING pg_temp.frozen AS f WHERE a.source = f.source AND a.call = f.call;
DELETE FROM pg_temp.caller AS a USING pg_temp.frozen AS f WHERE a.source = f.source AND a.call = f.call;
DELETE FROM pg_temp.leg AS a USING pg_temp.frozen AS f WHERE a.source = f.source AND a.call = f.call;

-- name: aggregate_gaps
-- How many changes of rows were not noted. $1: the sources. $2: the names of tables.
SELECT source, table_name, inserted + updated + deleted - noted AS gap FROM ivr.watermarks
WHERE source = ANY ($1) AND table_name = ANY ($2);

-- name: aggregate_holds
-- How often each agent put the caller on hold, and for how long. HOLD and UNHOLD come from the channel of
-- whoever pressed the key; a Local channel says again what its telephone said. A hold without an end ends
-- with its channel. Where cel tells of none of a call, the queue's events do, if there are any.
INSERT INTO ivr.call_holds (source, call, agent, holds, hold_seconds, origin, first_position, last_position)
WITH event AS (
  SELECT a.source, a.call, e.channame, upper(e.eventtype) AS kind, e.happened_at, e.id, e.position
  FROM pg_temp.affected AS a CROSS JOIN LATERAL (
    SELECT * FROM ivr.channel_events AS e
    WHERE e.source = a.source AND e.linkedid = a.call AND e.ordinal = 1 AND e.happened_at IS NOT NULL OFFSET 0
  ) AS e
),
seen AS (
  SELECT source, call, min(position) AS first_position, max(position) AS last_position,
         bool_or(kind = 'HOLD') AS holds
  FROM event GROUP BY source, call
),
signal AS (
  SELECT source, call, channame AS channel, substring(channame FROM '/([^-@/;]+)') AS agent, kind, happened_at, id,
         position, 'cel' AS origin
  FROM event CROSS JOIN pg_temp.rule
  WHERE kind IN ('HOLD', 'UNHOLD', 'BRIDGE_EXIT', 'HANGUP', 'CHAN_END')
    AND channame ~ rule.agent_channel AND channame NOT LIKE 'Local/%'
  UNION ALL
  SELECT i.source, i.call, i.callid || ' ' || e.agent,
         coalesce(substring(e.agent FROM '^[A-Za-z0-9]+/([^-@/;]+)'), e.agent), upper(e.event), e.happened_at, e.id,
         e.position, 'queue_events'
  FROM pg_temp.caller AS i CROSS JOIN LATERAL (
    SELECT * FROM ivr.queue_events AS e WHERE e.source = i.source AND e.callid = i.callid OFFSET 0
  ) AS e
  WHERE upper(e.event) IN ('HOLD', 'UNHOLD', 'COMPLETECALLER', 'COMPLETEAGENT', 'TRANSFER', 'BLINDTRANSFER',
                           'ATTENDEDTRANSFER')
    AND e.ordinal = 1 AND e.happened_at IS NOT NULL AND e.agent <> '' AND e.agent <> 'NONE'
    AND NOT EXISTS (SELECT FROM seen WHERE seen.source = i.source AND seen.call = i.call AND seen.holds)
),
turned AS (
  SELECT *, lag(kind) OVER in_order AS before FROM signal
  WINDOW in_order AS (PARTITION BY source, call, channel ORDER BY happened_at, id, position, kind)
),
paired AS (
  SELECT *, lead(happened_at) OVER in_order AS ended_at FROM turned
  WHERE kind <> 'HOLD' OR before IS DISTINCT FROM 'HOLD'
  WINDOW in_order AS (PARTITION BY source, call, channel ORDER BY happened_at, id, position, kind)
),
hold AS (
  SELECT paired.source, paired.call, paired.agent, paired.origin,
    greatest(extract(epoch FROM coalesce(
      paired.ended_at,
      (SELECT max(leg.ended_at) FROM pg_temp.leg AS leg
       WHERE leg.source = paired.source AND leg.call = paired.call AND paired.channel IN (leg.dstchannel, leg.channel)),
      (SELECT max(leg.ended_at) FROM pg_temp.leg AS leg
       WHERE leg.source = paired.source AND leg.call = paired.call)
    ) - paired.happened_at), 0) AS seconds
  FROM paired WHERE kind = 'HOLD'
)
SELECT source, call, agent, count(*), CASE WHEN count(seconds) = count(*) THEN sum(seconds) END, origin, NULL, NULL
FROM hold GROUP BY source, call, agent, origin
UNION ALL
SELECT source, call, NULL, 0, 0, 'cel', first_position, last_position FROM seen;

-- name: aggregate_index_drop
-- {index}: one whose making was cut off.
DROP INDEX CONCURRENTLY IF EXISTS {index};

-- name: aggregate_index_make
-- Made when aggregation first asks for it, beside those who load.
CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {definition};

-- name: aggregate_index_state
-- $1: an index. Returns whether it may be used; nothing where it is not there.
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1);

-- name: aggregate_joined
-- The legs of the affected calls that stand in another call than their own uniqueid's: the halves of Local channels.
INSERT INTO pg_temp.unlinked
SELECT source FROM (SELECT DISTINCT source FROM pg_temp.affected EXCEPT SELECT source FROM pg_temp.unlinked) AS a
WHERE EXISTS (SELECT FROM ivr.calls AS c WHERE c.source = a.source AND coalesce(c.linkedid, '') = '' AND c.channel LIKE 'Local/%');

INSERT INTO pg_temp.joined
WITH RECURSIVE down AS (
  SELECT c.place FROM pg_temp.affected AS a JOIN pg_temp.unlinked USING (source) CROSS JOIN LATERAL (
    SELECT ctid AS place FROM ivr.calls AS c
    WHERE c.source = a.source AND c.uniqueid = a.call AND coalesce(c.linkedid, '') = ''
      AND c.uniqueid IS DISTINCT FROM c.linkedid OFFSET 0
  ) AS c
  UNION
  SELECT child.place FROM down CROSS JOIN LATERAL pg_temp.local_children(down.place) AS child (place)
)
SELECT c.source, root.uniqueid, found.place, root.channel LIKE 'Local/%;2'
FROM pg_temp.local_roots(ARRAY (SELECT place FROM down)) AS found CROSS JOIN LATERAL (
  SELECT source, uniqueid FROM ivr.calls AS c WHERE c.ctid = found.place AND c.channel LIKE 'Local/%' OFFSET 0
) AS c CROSS JOIN LATERAL (
  SELECT uniqueid, coalesce(channel, '') AS channel FROM ivr.calls AS r WHERE r.ctid = found.root OFFSET 0
) AS root
WHERE root.uniqueid <> c.uniqueid;

ANALYZE pg_temp.joined;

-- name: aggregate_legs
-- The legs of the affected calls; rows that are equal in all that is asked of them (two CDR backends
-- loaded) count once. Without a linkedid, the second half of a Local channel whose first is in no leg is
-- the ring of some call that cannot be named: `half`. The leg whose uniqueid is the linkedid is the first: counters are no order
-- of texts.
INSERT INTO pg_temp.leg
SELECT source, call, uniqueid, sequence, started_at, started_at + duration * interval '1 second',
       channel, dstchannel, dst, dcontext, app, queue, src, did, src_name, dst_name, duration, billsec,
       disposition = 'ANSWERED',
       CASE WHEN dstchannel ~ rule.agent_channel THEN substring(dstchannel FROM '/([^-@/;]+)') END,
       half, linked,
       row_number() OVER (
         PARTITION BY source, call
         ORDER BY uniqueid = call DESC, started_at, sequence NULLS LAST, app = 'queue' DESC,
                  dcontext, dst, dstchannel, duration, billsec
       ) = 1 AS first_leg,
       position
FROM (
  SELECT DISTINCT ON (source, call, uniqueid, sequence, started_at, channel, dstchannel, duration,
                      billsec, disposition, lastapp, lastdata, dst)
    c.source, c.call, c.uniqueid, c.sequence, c.started_at, coalesce(c.channel, '') AS channel,
    coalesce(c.dstchannel, '') AS dstchannel, coalesce(c.dst, '') AS dst,
    coalesce(c.dcontext, '') AS dcontext, lower(coalesce(c.lastapp, '')) AS app,
    coalesce(nullif(split_part(replace(c.lastdata, '|', ','), ',', 1), ''), c.dst, '') AS queue,
    c.src, nullif(c.did, '') AS did, nullif(c.cnam, '') AS src_name, nullif(c.dst_cnam, '') AS dst_name,
    least(greatest(coalesce(c.duration, 0), 0), 86400)::numeric AS duration,
    least(greatest(coalesce(c.billsec, 0), 0), 86400)::numeric AS billsec,
    coalesce(c.disposition, '') AS disposition,
    c.half,
    coalesce(c.linkedid, '') <> '' AS linked,
    c.position
  FROM (
    SELECT a.call, false AS half, c.* FROM pg_temp.affected AS a CROSS JOIN LATERAL (
      SELECT * FROM ivr.calls AS c WHERE c.source = a.source AND c.linkedid = a.call OFFSET 0
    ) AS c
    UNION ALL
    SELECT a.call, coalesce(c.channel LIKE 'Local/%;2', false), c.* FROM pg_temp.affected AS a CROSS JOIN LATERAL (
      SELECT * FROM ivr.calls AS c
      WHERE c.source = a.source AND c.uniqueid = a.call AND coalesce(c.linkedid, '') = ''
        AND c.uniqueid IS DISTINCT FROM c.linkedid
        AND NOT EXISTS (SELECT FROM pg_temp.joined WHERE joined.place = c.ctid) OFFSET 0
    ) AS c
    UNION ALL
    SELECT j.call, j.half, c.* FROM pg_temp.joined AS j JOIN pg_temp.affected USING (source, call) CROSS JOIN LATERAL (
      SELECT * FROM ivr.calls AS c WHERE c.ctid = j.place OFFSET 0
    ) AS c
  ) AS c
  WHERE c.started_at IS NOT NULL
  ORDER BY source, call, uniqueid, sequence, started_at, channel, dstchannel, duration, billsec,
           disposition, lastapp, lastdata, dst, position
) AS c CROSS JOIN pg_temp.rule;

ANALYZE pg_temp.leg;

-- name: aggregate_locals
-- Without a linkedid the halves of one Local channel are of one call. Affected with a leg are whatever may hang
-- on it by such a name, and what may have held that: all legs that could be its parents or children, whichever
-- are taken. What hung on a row that is gone lies within the positions of the facts that it was made into.
INSERT INTO pg_temp.unlinked
SELECT source FROM (SELECT DISTINCT source FROM pg_temp.affected) AS a
WHERE EXISTS (SELECT FROM ivr.calls AS c WHERE c.source = a.source AND coalesce(c.linkedid, '') = '' AND c.channel LIKE 'Local/%');

INSERT INTO pg_temp.affected (source, call)
WITH RECURSIVE down AS (
  SELECT place FROM (
    SELECT c.place FROM pg_temp.affected AS a JOIN pg_temp.unlinked USING (source) CROSS JOIN LATERAL (
      SELECT ctid AS place FROM ivr.calls AS c
      WHERE c.source = a.source AND c.uniqueid = a.call AND coalesce(c.linkedid, '') = ''
        AND c.uniqueid IS DISTINCT FROM c.linkedid OFFSET 0
    ) AS c
    UNION
    SELECT c.place FROM pg_temp.affected AS a JOIN pg_temp.unlinked USING (source) CROSS JOIN LATERAL (
      SELECT first_position, last_position FROM ivr.call_facts AS f
      WHERE f.source = a.source AND f.call = a.call AND f.legs > 1 OFFSET 0
    ) AS f CROSS JOIN LATERAL (
      SELECT ctid AS place FROM ivr.calls AS c
      WHERE c.source = a.source AND c.position BETWEEN f.first_position AND f.last_position
        AND coalesce(c.linkedid, '') = '' AND c.channel LIKE 'Local/%' OFFSET 0
    ) AS c
  ) AS seed
  UNION
  SELECT child.place FROM down CROSS JOIN LATERAL pg_temp.local_children(down.place) AS child (place)
),
up AS (
  SELECT place FROM down
  UNION
  SELECT parent.place FROM up CROSS JOIN LATERAL pg_temp.local_parents(up.place) AS parent (place)
)
SELECT c.source, c.uniqueid FROM up CROSS JOIN LATERAL (
  SELECT source, uniqueid FROM ivr.calls AS c WHERE c.ctid = up.place OFFSET 0
) AS c
WHERE c.uniqueid <> ''
ON CONFLICT DO NOTHING;

-- name: aggregate_local_sources
-- Which sources have halves of Local channels without a linkedid for the first time: calls that were made
-- by a version that did not join them are made anew. $1: the sources.
UPDATE ivr.aggregated AS kept SET joins_locals = true
WHERE source = ANY ($1) AND NOT joins_locals AND EXISTS (
  SELECT FROM ivr.calls AS c WHERE c.source = kept.source AND coalesce(c.linkedid, '') = '' AND c.channel LIKE 'Local/%'
)
RETURNING source;

-- name: aggregate_lock
-- $1: the sources, as one text.
SELECT pg_try_advisory_lock(hashtextextended('sereno etl_ivr aggregate ' || $1, 0));

-- name: aggregate_names
-- The newest name that calls give an agent, where nothing better names it.
INSERT INTO ivr.names AS known (source, kind, id, name, origin)
SELECT DISTINCT ON (source, agent) source, 'agent', agent, dst_name, 'calls'
FROM pg_temp.leg WHERE agent IS NOT NULL AND dst_name <> '' AND dst = agent
ORDER BY source, agent, started_at DESC, dst_name
ON CONFLICT (source, kind, id) DO UPDATE SET name = excluded.name, seen_at = now()
WHERE known.origin = 'calls' AND known.name <> excluded.name;

-- name: aggregate_note_all
-- Notes every hour of a source that has rows, or facts, the newest first. $1: the sources.
WITH cleared AS (DELETE FROM ivr.touched WHERE source = ANY ($1)),
hours AS (
  SELECT source, 'ivr.calls' AS target, position / 10000 AS hour, count(*) AS rows
  FROM ivr.calls WHERE source = ANY ($1) GROUP BY 1, 3
  UNION ALL
  SELECT source, 'ivr.queue_events', position / 10000, count(*)
  FROM ivr.queue_events WHERE source = ANY ($1) GROUP BY 1, 3
  UNION ALL
  SELECT source, 'ivr.calls', first_position / 10000, 0
  FROM ivr.call_facts WHERE source = ANY ($1) AND first_position IS NOT NULL GROUP BY 1, 3
  UNION ALL
  SELECT source, 'ivr.queue_events', first_position / 10000, 0
  FROM ivr.queue_visits WHERE source = ANY ($1) AND first_position IS NOT NULL GROUP BY 1, 3
)
INSERT INTO ivr.touched (source, target, first, past, rows, changed)
SELECT source, target, CASE WHEN hour < 0 THEN {null} ELSE hour * 10000 END,
       CASE WHEN hour < 0 THEN 0 ELSE hour * 10000 + 10000 END, sum(rows), true
FROM hours GROUP BY source, target, hour ORDER BY hour DESC, target;

-- name: aggregate_old
-- Forgets the facts that are made anew, and keeps whose quarter hours they were in.
INSERT INTO pg_temp.quarter
SELECT DISTINCT a.source, f.quarter FROM pg_temp.affected AS a CROSS JOIN LATERAL (
  SELECT quarter FROM ivr.call_facts AS f WHERE f.source = a.source AND f.call = a.call OFFSET 0
) AS f;

DELETE FROM ivr.call_facts WHERE ctid = ANY (ARRAY (
  SELECT f.place FROM pg_temp.affected AS a CROSS JOIN LATERAL (
    SELECT ctid AS place FROM ivr.call_facts AS f WHERE f.source = a.source AND f.call = a.call OFFSET 0
  ) AS f
));
DELETE FROM ivr.agent_calls WHERE ctid = ANY (ARRAY (
  SELECT f.place FROM pg_temp.affected AS a CROSS JOIN LATERAL (
    SELECT ctid AS place FROM ivr.agent_calls AS f WHERE f.source = a.source AND f.call = a.call OFFSET 0
  ) AS f
));
DELETE FROM ivr.queue_visits WHERE ctid = ANY (ARRAY (
  SELECT f.place FROM pg_temp.caller AS i CROSS JOIN LATERAL (
    SELECT ctid AS place FROM ivr.queue_visits AS f WHERE f.source = i.source AND f.callid = i.callid OFFSET 0
  ) AS f
  UNION
  SELECT f.place FROM pg_temp.affected AS a CROSS JOIN LATERAL (
    SELECT ctid AS place FROM ivr.queue_visits AS f
    WHERE f.source = a.source AND f.call = a.call AND f.origin = 'calls' OFFSET 0
  ) AS f
));
DELETE FROM ivr.call_holds WHERE ctid = ANY (ARRAY (
  SELECT f.place FROM pg_temp.affected AS a CROSS JOIN LATERAL (
    SELECT ctid AS place FROM ivr.call_holds AS f WHERE f.source = a.source AND f.call = a.call OFFSET 0
  ) AS f
));

-- name: aggregate_quarters
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
  SELECT f.* FROM pg_temp.stale AS s CROSS JOIN LATERAL (
    SELECT * FROM ivr.call_facts AS f WHERE f.source = s.source AND f.quarter = s.quarter OFFSET 0
  ) AS f
),
part AS (
  SELECT 'call' AS kind, source, quarter, queue, agent, direction, did, origin, outcome,
         wait_seconds AS wait, wait_at_most AS most, NULL::numeric AS talk, 0 AS conversations,
         0 AS talk_unknown, NULL::int AS transfers, 0 AS missed, NULL::int AS holds,
         NULL::numeric AS hold_seconds, 0 AS holds_unknown
  FROM fact WHERE outcome <> 'ring'
  UNION ALL
  SELECT 'visit', f.source, f.quarter, v.queue, v.agent, f.direction, f.did, v.origin, v.outcome,
         v.wait_seconds, v.wait_at_most, NULL, 0, 0, NULL, 0, NULL, NULL, 0
  FROM fact AS f CROSS JOIN LATERAL (
    SELECT * FROM ivr.queue_visits AS v WHERE v.source = f.source AND v.call = f.call OFFSET 0
  ) AS v
  WHERE f.outcome <> 'ring'
  UNION ALL
  SELECT 'agent', f.source, f.quarter, a.queue, a.agent, f.direction, f.did, a.origin, NULL,
         NULL, NULL, a.talk_seconds, a.conversations, a.talk_unknown, a.transfers, a.missed,
         a.holds, a.hold_seconds, CASE WHEN a.holds IS NULL THEN a.conversations ELSE 0 END
  FROM fact AS f CROSS JOIN LATERAL (
    SELECT * FROM ivr.agent_calls AS a WHERE a.source = f.source AND a.call = f.call OFFSET 0
  ) AS a
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
    sum(missed) AS missed,
    sum(holds) AS holds,
    sum(hold_seconds) AS hold_seconds,
    sum(holds_unknown) AS holds_unknown
  FROM judged
  GROUP BY 1, 2, 3, 4, 5, 6, 7
)
SELECT source, quarter, queue, agent, direction, did, origin, calls, calls_answered, calls_abandoned,
  calls_short, calls_short_unknown, calls_in_level, calls_level_unknown, calls_ivr, calls_voicemail,
  calls_rejected, calls_overflowed, calls_unanswered, calls_open, offered, answered, abandoned,
  short_abandons, short_unknown, in_level, level_unknown, left_queue, refused, open,
  waits_unknown, wait_seconds, answered_waits, abandoned_waits, handled, talk_seconds, talk_unknown, transfers, holds, missed,
  hold_seconds, holds_unknown
FROM counted;

-- name: aggregate_reached
-- $1: the sources. $2: how far the calls of each were loaded, when nothing was left to do.
UPDATE ivr.aggregated AS kept SET aggregated_at = now(), reached = coalesce(given.reached, kept.reached)
FROM unnest($1::text[], $2::timestamptz[]) AS given (source, reached) WHERE kept.source = given.source;

-- name: aggregate_rule
-- $1: seconds of the level. $2: seconds of a short abandon. $3: an agent's channel. $4: the context of an outbound call.
INSERT INTO pg_temp.rule VALUES ($1, $2, $3, $4);

-- name: aggregate_session
-- A chunk's temporary tables fit into memory, and to look at a part of them is enough for a plan; what is
-- asked of the large tables is asked by key (LATERAL ... OFFSET 0), whatever their statistics say.
SET statement_timeout = '1h'; SET enable_nestloop = on; SET plan_cache_mode = auto;
SET work_mem = '64MB'; SET temp_buffers = '64MB'; SET default_statistics_target = 10;

-- name: aggregate_sources
-- $1: the sources.
INSERT INTO ivr.aggregated (source) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING;

-- name: aggregate_stale_sources
-- The sources whose facts are to be made anew: by other rules than today's, or where rows have changed
-- of which no note was taken (a replica of an earlier version loaded them). $1: the sources. $2: the
-- names of tables as ivr.watermarks has them. $3: the rules.
SELECT source FROM unnest($1::text[]) AS source
WHERE NOT EXISTS (SELECT FROM ivr.aggregated AS kept WHERE kept.source = source.source AND kept.rules = $3)
   OR EXISTS (
     SELECT FROM ivr.watermarks AS w
     WHERE w.source = source.source AND w.table_name = ANY ($2)
       AND w.inserted + w.updated + w.deleted IS DISTINCT FROM w.noted
   );

-- name: aggregate_take
-- Takes some of what was touched, the oldest note first, up to so many rows, and as many again of what lies
-- in the same range of time: a call's legs and its queue's events are notes of different tables, and it is
-- made anew once for both. $1: the sources. $2: rows. Returns how many notes.
WITH oldest AS (
  SELECT id, source, first, past FROM (
    SELECT *, sum(rows) OVER (ORDER BY id) - rows AS before FROM ivr.touched WHERE source = ANY ($1)
  ) AS noted
  WHERE before < $2
),
span AS (SELECT source, min(first) AS first, max(past) AS past FROM oldest GROUP BY source),
chosen AS (
  SELECT id FROM oldest
  UNION ALL
  SELECT id FROM (
    SELECT noted.id, sum(noted.rows) OVER (ORDER BY noted.id) - noted.rows AS before
    FROM ivr.touched AS noted JOIN span USING (source)
    WHERE noted.first >= span.first AND noted.past <= span.past
      AND NOT EXISTS (SELECT FROM oldest WHERE oldest.id = noted.id)
  ) AS beside
  WHERE before < $2
),
taken AS (
  DELETE FROM ivr.touched AS noted USING chosen WHERE noted.id = chosen.id
  RETURNING noted.source, noted.target, noted.first, noted.past, noted.changed
),
kept AS (
  INSERT INTO pg_temp.touch SELECT * FROM taken RETURNING 1
)
SELECT count(*) FROM kept;

-- name: aggregate_tells_holds
-- Which sources tell of holds for the first time: what was unknown of their calls is known. $1: the sources.
UPDATE ivr.aggregated AS kept SET tells_holds = true
WHERE source = ANY ($1) AND NOT tells_holds AND EXISTS (
  SELECT FROM ivr.channel_events AS e WHERE e.source = kept.source AND upper(e.eventtype) IN ('HOLD', 'UNHOLD')
)
RETURNING source;

-- name: aggregate_temporary
-- What one chunk works with: what was touched, whose facts are made anew, and their legs.
CREATE TEMP TABLE rule (
  level numeric, short numeric, agent_channel text, outbound_context text
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE touch (source text, target text, first bigint, past bigint, changed boolean)
  ON COMMIT DELETE ROWS;
CREATE TEMP TABLE affected (source text, call text, PRIMARY KEY (source, call)) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE own (source text, callid text, PRIMARY KEY (source, callid)) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE caller (source text, callid text, call text, PRIMARY KEY (source, callid))
  ON COMMIT DELETE ROWS;
CREATE TEMP TABLE unlinked (source text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE root (place tid PRIMARY KEY, call text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE joined (source text, call text, place tid, half boolean) ON COMMIT DELETE ROWS;
CREATE INDEX ON pg_temp.joined (place);
CREATE TEMP TABLE quarter (source text, quarter timestamptz) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE leg (
  source text, call text, uniqueid text, sequence bigint, started_at timestamptz, ended_at timestamptz,
  channel text, dstchannel text, dst text, dcontext text, app text, queue text, src text, did text, src_name text, dst_name text,
  duration numeric, billsec numeric, answered boolean, agent text, half boolean, linked boolean, first_leg boolean,
  position bigint
) ON COMMIT DELETE ROWS;
CREATE INDEX ON pg_temp.leg (source, call);
CREATE TEMP TABLE visit (LIKE ivr.queue_visits) ON COMMIT DELETE ROWS;
CREATE INDEX ON pg_temp.visit (source, call);

-- `Local/201@queue-0000000a;1` and `;2` are the halves of `Local/201@queue-0000000a`.
CREATE FUNCTION pg_temp.local_name(channel text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT substring(channel FROM '^(Local/.+-[0-9a-fA-F]+);[12]$')
$$;

-- The legs without a linkedid that a leg may hang on, best first: who called its Local channel, else the other
-- half of it. Each began before it (counters of one second by their length first: .99, .100), and was not over;
-- names come again, so one that lasts is asked for four hours. The source is compared outside: a planner without
-- statistics would take an index of that.
CREATE FUNCTION pg_temp.local_parents(leg tid) RETURNS SETOF tid LANGUAGE sql STABLE AS $$
  SELECT p.place FROM (SELECT *, pg_temp.local_name(channel) AS name FROM ivr.calls WHERE ctid = leg OFFSET 0) AS c CROSS JOIN LATERAL (
    SELECT 1 AS rank, p.ctid AS place, p.* FROM ivr.calls AS p
    WHERE p.dstchannel = ANY (ARRAY[c.name || ';1', c.name || ';2'])
      AND p.dstchannel LIKE 'Local/%' AND coalesce(p.linkedid, '') = ''
    UNION ALL
    SELECT 2, p.ctid, p.* FROM ivr.calls AS p
    WHERE p.channel = c.name || ';1' AND c.channel LIKE '%;2'
      AND p.channel LIKE 'Local/%' AND coalesce(p.linkedid, '') = ''
    OFFSET 0
  ) AS p
  WHERE coalesce(c.linkedid, '') = '' AND c.uniqueid <> '' AND p.uniqueid <> ''
    AND p.source = c.source AND p.uniqueid <> c.uniqueid
    AND (p.started_at, length(p.uniqueid), p.uniqueid) < (c.started_at, length(c.uniqueid), c.uniqueid)
    AND c.started_at <= p.started_at + (least(greatest(coalesce(p.duration, 0), 0), 14400) + 2) * interval '1 second'
  ORDER BY rank, p.started_at DESC, length(p.uniqueid) DESC, p.uniqueid DESC, p.position DESC, p.content, p.ordinal
$$;

-- The legs that may hang on a leg.
CREATE FUNCTION pg_temp.local_children(leg tid) RETURNS SETOF tid LANGUAGE sql STABLE AS $$
  SELECT c.place FROM (
    SELECT *, pg_temp.local_name(dstchannel) AS name, pg_temp.local_name(channel) AS own_name
    FROM ivr.calls WHERE ctid = leg OFFSET 0
  ) AS p CROSS JOIN LATERAL (
    SELECT c.ctid AS place, c.* FROM ivr.calls AS c
    WHERE c.channel = ANY (ARRAY[
        p.name || ';1', p.name || ';2',
        CASE WHEN p.channel LIKE '%;1' THEN p.own_name || ';2' END])
      AND c.channel LIKE 'Local/%' AND coalesce(c.linkedid, '') = ''
    OFFSET 0
  ) AS c
  WHERE coalesce(p.linkedid, '') = '' AND c.uniqueid <> '' AND p.uniqueid <> ''
    AND p.source = c.source AND p.uniqueid <> c.uniqueid
    AND (p.started_at, length(p.uniqueid), p.uniqueid) < (c.started_at, length(c.uniqueid), c.uniqueid)
    AND c.started_at <= p.started_at + (least(greatest(coalesce(p.duration, 0), 0), 14400) + 2) * interval '1 second'
$$;

-- The leg that each of some legs hangs on in the end; Local channels that ring Local channels are followed for eight steps.
-- Asked once for all: one that is asked for each leg plans what it asks of others anew each time.
CREATE FUNCTION pg_temp.local_roots(legs tid[]) RETURNS TABLE (place tid, root tid) LANGUAGE sql STABLE AS $$
  WITH RECURSIVE walk AS (
    SELECT seed.leg, seed.leg AS place, 0 AS n FROM unnest(legs) AS seed (leg)
    UNION ALL
    SELECT walk.leg, parent.place, n + 1 FROM walk CROSS JOIN LATERAL (
      SELECT found.place FROM pg_temp.local_parents(walk.place) AS found (place) LIMIT 1
    ) AS parent WHERE n < 8
  )
  SELECT DISTINCT ON (leg) leg, walk.place FROM walk ORDER BY leg, n DESC
$$;

-- name: aggregate_visits
-- Each entry of a caller into a queue, from its events. A visit whose beginning is not there (older than
-- what was loaded) is counted back from its end.
INSERT INTO ivr.queue_visits
  (source, call, callid, queue, n, entered_at, agent, outcome, wait_seconds, wait_at_most, talk_seconds,
   connected_at, transfers, origin, first_position, last_position)
WITH told AS (
  SELECT i.call, i.source, i.callid, e.queuename AS queue, upper(e.event) AS event, e.happened_at, e.id,
         e.position, e.agent, e.data1, e.data2, e.data3, e.data4, e.data5,
         upper(e.event) = 'ATTENDEDTRANSFER' AND e.data1 = 'LINK' AS is_link
  FROM pg_temp.caller AS i CROSS JOIN LATERAL (
    SELECT * FROM ivr.queue_events AS e WHERE e.source = i.source AND e.callid = i.callid OFFSET 0
  ) AS e
  WHERE e.happened_at IS NOT NULL AND e.ordinal = 1 AND upper(e.event) IN (
    'ENTERQUEUE', 'CONNECT', 'COMPLETECALLER', 'COMPLETEAGENT', 'TRANSFER', 'BLINDTRANSFER',
    'ATTENDEDTRANSFER', 'ABANDON', 'EXITWITHTIMEOUT', 'EXITWITHKEY', 'EXITEMPTY', 'JOINEMPTY', 'FULL',
    'CLOSED'
  )
),
-- Which of its cells hold the wait, the talk and, of who gave up, the wait.
placed AS (
  SELECT call, source, callid, queue, event, happened_at, id, position,
    coalesce(substring(agent FROM '^[A-Za-z0-9]+/([^-@/;]+)'), nullif(agent, '')) AS agent,
    event IN ('ENTERQUEUE', 'JOINEMPTY', 'FULL', 'CLOSED') AS is_entry,
    event IN ('COMPLETECALLER', 'COMPLETEAGENT') AS is_complete,
    event IN ('TRANSFER', 'BLINDTRANSFER', 'ATTENDEDTRANSFER') AS is_transfer,
    event IN ('ABANDON', 'EXITWITHTIMEOUT', 'EXITWITHKEY', 'EXITEMPTY') AS is_exit,
    is_link,
    CASE WHEN event IN ('CONNECT', 'COMPLETECALLER', 'COMPLETEAGENT') THEN data1
         WHEN is_link THEN data4
         WHEN event IN ('TRANSFER', 'BLINDTRANSFER', 'ATTENDEDTRANSFER') THEN data3 END AS hold,
    CASE WHEN event IN ('COMPLETECALLER', 'COMPLETEAGENT') THEN data2
         WHEN is_link THEN data5
         WHEN event IN ('TRANSFER', 'BLINDTRANSFER', 'ATTENDEDTRANSFER') THEN data4 END AS talk,
    CASE event WHEN 'EXITWITHKEY' THEN data4 WHEN 'ABANDON' THEN data3 WHEN 'EXITWITHTIMEOUT' THEN data3
               WHEN 'EXITEMPTY' THEN data3 END AS gave_up
  FROM told
),
numbered AS (
  SELECT call, source, callid, queue, event, happened_at, position, agent, is_complete, is_transfer, is_exit, is_link,
    {hold} AS hold, {talk} AS talk, {gave_up} AS gave_up,
    count(*) FILTER (WHERE is_entry) OVER (
      PARTITION BY source, callid, queue
      ORDER BY happened_at, id, CASE event WHEN 'ENTERQUEUE' THEN 1 WHEN 'CONNECT' THEN 2 ELSE 3 END, position, event
      ROWS UNBOUNDED PRECEDING
    )::int AS n
  FROM placed
),
visit AS (
  SELECT source, call, callid, queue, n,
    min(happened_at) FILTER (WHERE event = 'ENTERQUEUE') AS enter_at,
    min(happened_at) FILTER (WHERE event = 'CONNECT') AS connect_at,
    min(happened_at) FILTER (WHERE is_complete OR is_transfer) AS talked_at,
    min(happened_at) FILTER (WHERE is_exit) AS left_at,
    min(happened_at) AS first_at,
    coalesce(min(agent) FILTER (WHERE event = 'CONNECT'),
             min(agent) FILTER (WHERE is_complete OR is_transfer)) AS agent,
    min(event) FILTER (WHERE is_exit) AS exit,
    bool_or(event IN ('JOINEMPTY', 'FULL', 'CLOSED')) AS refused,
    count(*) FILTER (WHERE is_transfer)::int AS transfers,
    coalesce(
      min(hold) FILTER (WHERE event = 'CONNECT'), min(hold) FILTER (WHERE is_complete),
      min(hold) FILTER (WHERE is_transfer AND NOT is_link), min(hold) FILTER (WHERE is_link)
    ) AS hold,
    coalesce(
      min(talk) FILTER (WHERE is_complete), min(talk) FILTER (WHERE is_transfer AND NOT is_link),
      min(talk) FILTER (WHERE is_link)
    ) AS talk,
    min(gave_up) AS gave_up,
    min(position) AS first_position, max(position) AS last_position
  FROM numbered
  GROUP BY source, call, callid, queue, n
),
judged AS (
  SELECT *, connect_at IS NOT NULL OR talked_at IS NOT NULL AS was_answered,
    extract(epoch FROM talked_at - connect_at) AS talk_between,
    extract(epoch FROM coalesce(connect_at, left_at) - enter_at) AS wait_between
  FROM visit
),
timed AS (
  SELECT *,
    CASE WHEN was_answered THEN coalesce(hold, wait_between)
         WHEN exit IS NOT NULL THEN coalesce(gave_up, wait_between) END AS wait,
    CASE WHEN was_answered THEN coalesce(talk, talk_between) END AS talked
  FROM judged
)
SELECT source, call, callid, nullif(queue, ''), n,
  coalesce(
    enter_at,
    coalesce(connect_at, talked_at - coalesce(talked, 0) * interval '1 second', left_at, first_at)
      - coalesce(wait, 0) * interval '1 second'
  ) AS entered_at,
  CASE WHEN was_answered AND agent <> 'NONE' THEN agent END,
  CASE
    WHEN was_answered THEN 'answered'
    WHEN exit = 'ABANDON' THEN 'abandoned'
    WHEN exit IS NOT NULL THEN lower(replace(replace(exit, 'EXITWITH', ''), 'EXIT', ''))
    WHEN refused THEN 'refused'
    ELSE 'open'
  END,
  wait, wait, talked,
  CASE WHEN was_answered THEN coalesce(
    connect_at, talked_at - talked * interval '1 second', enter_at + wait * interval '1 second'
  ) END,
  transfers, 'queue_events', first_position, last_position
FROM timed;

-- name: aggregate_visits_of_calls
-- Each queue that a call was in, where no queue event tells of it: its legs do not tell the wait, which
-- is no longer than from the call's beginning to the answer or the end.
INSERT INTO ivr.queue_visits
  (source, call, callid, queue, n, entered_at, agent, outcome, wait_seconds, wait_at_most, talk_seconds,
   connected_at, transfers, origin)
WITH known AS (
  SELECT source, call FROM pg_temp.affected AS a WHERE EXISTS (
    SELECT FROM ivr.queue_visits AS v WHERE v.source = a.source AND v.call = a.call
  )
),
told AS (
  SELECT leg.*, min(started_at) OVER (PARTITION BY source, call) AS begun,
         max(ended_at) OVER (PARTITION BY source, call) AS over
  FROM pg_temp.leg WHERE NOT half
),
queues AS (
  SELECT source, call, queue, min(begun) AS begun, max(over) AS over, min(started_at) AS started_at,
         max(ended_at) AS ended_at, bool_or(answered AND agent IS NOT NULL) AS with_agent,
         min(agent) FILTER (WHERE answered AND agent IS NOT NULL) AS agent
  FROM told WHERE app = 'queue' GROUP BY source, call, queue
),
agents AS (
  SELECT DISTINCT ON (source, call) source, call, agent, ended_at - billsec * interval '1 second' AS answered_at
  FROM told WHERE answered AND agent IS NOT NULL AND app <> 'queue'
  ORDER BY source, call, dstchannel LIKE 'Local/%', started_at, sequence NULLS LAST, agent, billsec
),
judged AS (
  SELECT queues.*, agents.agent AS other, agents.answered_at,
         row_number() OVER last_first = 1 AS is_last,
         row_number() OVER (PARTITION BY source, call ORDER BY started_at, ended_at, queue)::int AS n,
         bool_or(with_agent) OVER (PARTITION BY source, call) AS any_with_agent
  FROM queues LEFT JOIN agents USING (source, call)
  WINDOW last_first AS (PARTITION BY source, call ORDER BY started_at DESC, ended_at DESC, queue DESC)
)
SELECT source, call, call, nullif(queue, ''), n, NULL,
  CASE WHEN answering THEN coalesce(other, agent) END,
  CASE WHEN answering THEN 'answered' WHEN is_last THEN 'abandoned' ELSE 'timeout' END,
  NULL,
  extract(epoch FROM CASE WHEN answering THEN coalesce(answered_at, over) ELSE ended_at END - begun),
  NULL, CASE WHEN answering THEN answered_at END, 0, 'calls'
FROM (
  SELECT *, with_agent OR (is_last AND NOT any_with_agent AND other IS NOT NULL) AS answering FROM judged
) AS judged
WHERE NOT EXISTS (SELECT FROM known WHERE known.source = judged.source AND known.call = judged.call);

INSERT INTO pg_temp.visit
SELECT v.* FROM pg_temp.affected AS a CROSS JOIN LATERAL (
  SELECT * FROM ivr.queue_visits AS v WHERE v.source = a.source AND v.call = a.call OFFSET 0
) AS v;

ANALYZE pg_temp.visit;

-- name: aggregate_waiting
-- $1: the sources. Returns how many rows are touched and not yet aggregated.
SELECT coalesce(sum(rows), 0)::bigint FROM ivr.touched WHERE source = ANY ($1);

-- name: aggregate_watermarks
-- $1: the sources. $2: the names of tables of calls, as ivr.watermarks has them.
SELECT source, position, zone FROM ivr.watermarks
WHERE source = ANY ($1) AND table_name = ANY ($2) AND position IS NOT NULL;
