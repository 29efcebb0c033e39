-- The calls of [:start, :end) by the number that was called, the most called first.
SELECT did, sum(calls) AS calls, sum(calls_answered) AS answered, sum(calls_abandoned - calls_short) AS abandoned,
  sum(calls_answered + calls_abandoned - calls_short + calls_voicemail + calls_overflowed) AS offered
FROM ivr.quarter_hours
WHERE quarter >= :start AND quarter < :end AND source = ANY (:sources)
  AND direction = 'inbound' AND did IS NOT NULL AND calls > 0
GROUP BY did
ORDER BY calls DESC, did
LIMIT 1000
