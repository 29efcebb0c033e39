-- Each affected call as a whole: what became of it, whoever rang and however often it was passed on.
INSERT INTO ivr.call_facts
  (source, call, quarter, started_at, ended_at, direction, did, caller, queue, agent, outcome,
   wait_seconds, wait_at_most, legs, origin, first_position, last_position, caller_name)
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
    min(src) FILTER (WHERE first_leg) AS caller, min(src_name) FILTER (WHERE first_leg) AS caller_name,
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
    did, caller, caller_name, visit.queue, visit.entered_at, visit.connected_at, visit.gave_up_at, has_events,
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
  legs, CASE WHEN has_events THEN 'queue_events' ELSE 'calls' END, first_position, last_position, caller_name
FROM timed;

INSERT INTO pg_temp.quarter
SELECT DISTINCT f.source, f.quarter FROM pg_temp.affected AS a JOIN ivr.call_facts AS f USING (source, call);
