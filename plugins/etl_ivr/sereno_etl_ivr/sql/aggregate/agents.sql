-- What each agent had of each call. A conversation that the queue tells of is not counted from the legs
-- again: of those that overlap, the queue's is taken. Of the legs of one agent, the telephone's own tells
-- (1), else a Local channel's (2), else the caller's in the queue (3), whose seconds are not the agent's.
INSERT INTO ivr.agent_calls
  (source, call, agent, queue, conversations, talk_seconds, talk_unknown, transfers, missed, origin)
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
  FROM pg_temp.caller AS i JOIN ivr.queue_events AS e ON e.source = i.source AND e.callid = i.callid
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
)
SELECT source, call, agent, queue, sum(conversations), sum(talk), sum(talk_unknown), sum(transfers),
       sum(missed), min(origin)
FROM (
  SELECT source, call, agent, queue, 1 AS conversations, talk,
         CASE WHEN talk IS NULL THEN 1 ELSE 0 END AS talk_unknown, transfers, 0 AS missed, origin FROM talk
  UNION ALL
  SELECT source, call, agent, queue, 0, NULL, 0, 0, missed, origin FROM missed
) AS every_one
GROUP BY source, call, agent, queue;
