-- Each entry of a caller into a queue, from its events. A visit whose beginning is not there (older than
-- what was loaded) is counted back from its end.
INSERT INTO ivr.queue_visits
  (source, call, callid, queue, n, entered_at, agent, outcome, wait_seconds, wait_at_most, talk_seconds,
   connected_at, transfers, origin, first_position, last_position)
WITH event AS (
  SELECT i.call, e.source, e.callid, e.queuename AS queue, upper(e.event) AS event, e.happened_at, e.id,
         e.position, coalesce(substring(e.agent FROM '^[A-Za-z0-9]+/([^-@/;]+)'), nullif(e.agent, '')) AS agent,
         {figure1} AS f1, {figure2} AS f2, {figure3} AS f3, {figure4} AS f4, {figure5} AS f5, e.data1 AS method
  FROM pg_temp.caller AS i JOIN ivr.queue_events AS e ON e.source = i.source AND e.callid = i.callid
  WHERE e.happened_at IS NOT NULL AND e.ordinal = 1 AND upper(e.event) IN (
    'ENTERQUEUE', 'CONNECT', 'COMPLETECALLER', 'COMPLETEAGENT', 'TRANSFER', 'BLINDTRANSFER',
    'ATTENDEDTRANSFER', 'ABANDON', 'EXITWITHTIMEOUT', 'EXITWITHKEY', 'EXITEMPTY', 'JOINEMPTY', 'FULL',
    'CLOSED'
  )
),
numbered AS (
  SELECT *, count(*) FILTER (WHERE event IN ('ENTERQUEUE', 'JOINEMPTY', 'FULL', 'CLOSED')) OVER (
    PARTITION BY source, callid, queue
    ORDER BY happened_at, id, CASE event WHEN 'ENTERQUEUE' THEN 1 WHEN 'CONNECT' THEN 2 ELSE 3 END, position, event
    ROWS UNBOUNDED PRECEDING
  )::int AS n
  FROM event
),
visit AS (
  SELECT source, call, callid, queue, n,
    min(happened_at) FILTER (WHERE event = 'ENTERQUEUE') AS enter_at,
    min(happened_at) FILTER (WHERE event = 'CONNECT') AS connect_at,
    min(happened_at) FILTER (WHERE event ~ '^COMPLETE|TRANSFER$') AS talked_at,
    min(happened_at) FILTER (WHERE event ~ '^ABANDON|^EXIT') AS left_at,
    min(happened_at) AS first_at,
    coalesce(min(agent) FILTER (WHERE event = 'CONNECT'),
             min(agent) FILTER (WHERE event ~ '^COMPLETE|TRANSFER$')) AS agent,
    min(event) FILTER (WHERE event IN ('ABANDON', 'EXITWITHTIMEOUT', 'EXITWITHKEY', 'EXITEMPTY')) AS exit,
    bool_or(event IN ('JOINEMPTY', 'FULL', 'CLOSED')) AS refused,
    count(*) FILTER (WHERE event ~ 'TRANSFER$')::int AS transfers,
    coalesce(
      min(f1) FILTER (WHERE event = 'CONNECT'), min(f1) FILTER (WHERE event ~ '^COMPLETE'),
      min(f3) FILTER (WHERE event ~ 'TRANSFER$' AND method IS DISTINCT FROM 'LINK'),
      min(f4) FILTER (WHERE event = 'ATTENDEDTRANSFER' AND method = 'LINK')
    ) AS hold,
    coalesce(
      min(f2) FILTER (WHERE event ~ '^COMPLETE'),
      min(f4) FILTER (WHERE event ~ 'TRANSFER$' AND method IS DISTINCT FROM 'LINK'),
      min(f5) FILTER (WHERE event = 'ATTENDEDTRANSFER' AND method = 'LINK')
    ) AS talk,
    min(CASE event WHEN 'EXITWITHKEY' THEN f4 ELSE f3 END) FILTER (WHERE event ~ '^ABANDON|^EXIT') AS gave_up,
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
