-- Each queue that a call was in, where no queue event tells of it: its legs do not tell the wait, which
-- is no longer than from the call's beginning to the answer or the end.
INSERT INTO ivr.queue_visits
  (source, call, callid, queue, n, entered_at, agent, outcome, wait_seconds, wait_at_most, talk_seconds,
   connected_at, transfers, origin)
WITH known AS (
  SELECT DISTINCT v.source, v.call FROM ivr.queue_visits AS v JOIN pg_temp.affected USING (source, call)
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
SELECT v.* FROM pg_temp.affected JOIN ivr.queue_visits AS v USING (source, call);

ANALYZE pg_temp.visit;
