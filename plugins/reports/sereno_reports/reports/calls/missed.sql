-- Callers who gave up in [:start, :end): whether they were reached afterwards, within a day. A number is
-- known by its last nine digits; who hides it cannot be found again. A visit to a queue is not asked:
-- a caller counts once, by the last time.
WITH lost AS MATERIALIZED (
  SELECT right(regexp_replace(caller, '\D', '', 'g'), 9) AS number, max(ended_at) AS at
  FROM ivr.call_facts
  WHERE quarter >= :start AND quarter < :end AND (cardinality(:sources) = 0 OR source = ANY (:sources))
    AND direction = 'inbound' AND outcome IN ('abandoned', 'overflowed')
  GROUP BY 1
),
called AS MATERIALIZED (
  SELECT right(regexp_replace(f.caller, '\D', '', 'g'), 9) AS number, f.started_at, 'again' AS how
  FROM ivr.call_facts AS f
  WHERE quarter >= :start AND quarter < :end + interval '1 day' AND outcome = 'answered' AND direction = 'inbound'
  UNION ALL
  SELECT right(regexp_replace(c.dst, '\D', '', 'g'), 9), f.started_at, 'back'
  FROM ivr.call_facts AS f JOIN ivr.calls AS c ON c.source = f.source AND c.linkedid = f.call
  WHERE quarter >= :start AND quarter < :end + interval '1 day' AND outcome = 'answered' AND direction = 'outbound'
),
found AS (
  SELECT lost.number, bool_or(how = 'back') AS back, bool_or(how = 'again') AS again
  FROM lost LEFT JOIN called ON called.number = lost.number AND called.started_at > lost.at
    AND called.started_at <= lost.at + interval '1 day'
  WHERE length(lost.number) >= 3
  GROUP BY 1
)
SELECT count(*) AS callers, count(*) FILTER (WHERE back) AS called_back,
  count(*) FILTER (WHERE again AND NOT coalesce(back, false)) AS called_again,
  count(*) FILTER (WHERE NOT coalesce(back OR again, false)) AS not_reached
FROM found
