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
FROM hours GROUP BY source, target, hour ORDER BY hour DESC, target
