-- Callers who gave up in [:start, :end): whether they were reached afterwards, by :end: what comes later
-- would revise each day's report the next morning. A number is known by its last nine digits; who hides it
-- cannot be found again. A caller counts once, by the last time. `gone`: the facts of those calls are kept no more.
WITH kept AS (
  SELECT coalesce(bool_or((to_jsonb(a) ->> 'facts_from')::timestamptz > :start), false) AS gone
  FROM ivr.aggregated AS a WHERE source = ANY (:sources)
),
lost AS MATERIALIZED (
  SELECT right(translate(caller, '+ -()./', ''), 9) AS number, max(ended_at) AS at
  FROM ivr.call_facts
  WHERE quarter >= :start AND quarter < :end AND source = ANY (:sources)
    AND direction = 'inbound' AND outcome IN ('abandoned', 'overflowed')
  GROUP BY 1
),
called AS MATERIALIZED (
  SELECT right(translate(f.caller, '+ -()./', ''), 9) AS number, f.started_at, 'again' AS how
  FROM ivr.call_facts AS f
  WHERE quarter >= :start AND quarter < :end AND source = ANY (:sources)
    AND outcome = 'answered' AND direction = 'inbound'
  UNION ALL
  SELECT right(translate(f.callee, '+ -()./', ''), 9), f.started_at, 'back'
  FROM ivr.call_facts AS f
  WHERE quarter >= :start AND quarter < :end AND source = ANY (:sources)
    AND outcome = 'answered' AND direction = 'outbound'
),
found AS (
  SELECT lost.number, bool_or(how = 'back') AS back, bool_or(how = 'again') AS again
  FROM lost LEFT JOIN called ON called.number = lost.number AND called.started_at > lost.at
  WHERE length(lost.number) >= 3
  GROUP BY 1
)
SELECT gone, CASE WHEN NOT gone THEN callers END AS callers, CASE WHEN NOT gone THEN called_back END AS called_back,
  CASE WHEN NOT gone THEN called_again END AS called_again, CASE WHEN NOT gone THEN not_reached END AS not_reached
FROM kept CROSS JOIN (
  SELECT count(*) AS callers, count(*) FILTER (WHERE back) AS called_back,
    count(*) FILTER (WHERE again AND NOT coalesce(back, false)) AS called_again,
    count(*) FILTER (WHERE NOT coalesce(back OR again, false)) AS not_reached
  FROM found
) AS counted
