-- The calls that began in [$1, $2), each made of its legs. $3: an agent's dstchannel, $4: the context in
-- which an outbound call begins (regular expressions). {calls}: the quoted name of the table.
-- Legs up to 6 hours around the day are read, so that a call over midnight is whole.
-- Equal rows (two CDR backends loaded) count once. An answered call is written down on several legs;
-- the rank chooses those that tell the agent's part: the phone's own leg (1), else a Local channel's (2),
-- else the caller's leg in the queue (3), whose answer was the IVR's: it does not tell the wait.
WITH leg AS (
  SELECT DISTINCT
    source,
    coalesce(nullif(linkedid, ''), nullif(uniqueid, '')) AS call,
    uniqueid,
    sequence,
    started_at,
    coalesce(channel, '') AS channel,
    coalesce(dstchannel, '') AS dstchannel,
    coalesce(dst, '') AS dst,
    coalesce(dcontext, '') AS dcontext,
    lower(coalesce(lastapp, '')) AS lastapp,
    disposition,
    least(greatest(duration, 0), 86400) AS duration,
    least(greatest(billsec, 0), 86400) AS billsec
  FROM {calls}
  WHERE started_at >= $1::timestamptz - interval '6 hours'
    AND started_at < $2::timestamptz + interval '6 hours'
), ranked AS (
  SELECT *,
    CASE
      WHEN disposition IS DISTINCT FROM 'ANSWERED' OR dstchannel !~ $3 THEN NULL
      WHEN lastapp = 'queue' THEN 3
      WHEN dstchannel LIKE 'Local/%' THEN 2
      ELSE 1
    END AS rank,
    dstchannel ~ $3 OR lastapp = 'queue' AS reaching
  FROM leg
  WHERE call IS NOT NULL
), judged AS (
  SELECT *, rank = min(rank) OVER (PARTITION BY source, call) AS telling FROM ranked
)
SELECT
  min(started_at) AS started_at,
  extract(epoch FROM max(started_at + make_interval(secs => coalesce(duration, 0))) - min(started_at))::int
    AS length,
  count(rank) > 0 AS answered,
  bool_or(reaching) AS reached,
  bool_or(lastapp LIKE 'voicemail%') AS voicemail,
  bool_or(dcontext LIKE 'app-blackhole%') AS rejected,
  (array_agg(dcontext ORDER BY started_at, sequence NULLS LAST))[1] ~ $4 AS outbound,
  coalesce(sum(billsec) FILTER (WHERE telling), 0)::int AS talk,
  extract(epoch FROM
    min(started_at + make_interval(secs => coalesce(duration - billsec, 0)))
      FILTER (WHERE telling AND rank < 3)
    - min(started_at))::int AS wait,
  (array_agg(dst ORDER BY started_at, sequence NULLS LAST) FILTER (WHERE lastapp = 'queue'))[1] AS queue,
  (array_agg(substring(dstchannel FROM '/([^-@/]+)') ORDER BY started_at, sequence NULLS LAST)
    FILTER (WHERE telling))[1] AS agent
FROM judged
GROUP BY source, call
HAVING min(started_at) >= $1 AND min(started_at) < $2
ORDER BY 1, source, call
