-- The calls that began today, by first queue and outcome, each once; none of the future. $1: the sources.
-- $2: the zone of midnight.
SELECT coalesce(queue, '') AS queue,
  sum(calls_answered) AS answered, sum(calls_abandoned - calls_short) AS abandoned,
  sum(calls_short) AS short_abandon, sum(calls_ivr) AS ivr, sum(calls_voicemail) AS voicemail,
  sum(calls_rejected) AS rejected, sum(calls_overflowed) AS overflowed,
  sum(calls_unanswered) AS unanswered, sum(calls_open) AS open
FROM ivr.quarter_hours
WHERE source = ANY ($1) AND quarter < now()
  AND quarter >= date_trunc('day', now() AT TIME ZONE $2) AT TIME ZONE $2 AND direction = 'inbound'
GROUP BY 1 ORDER BY sum(calls) DESC, 1
