-- Whose facts may differ now: the calls and callers with a row in what was touched, or whose facts came
-- of a row there that is gone, and whoever is joined to them.
ANALYZE pg_temp.touch;

INSERT INTO pg_temp.caller (source, callid)
SELECT DISTINCT e.source, e.callid
FROM pg_temp.touch AS t
JOIN ivr.queue_events AS e ON e.source = t.source AND e.position >= t.first AND e.position < t.past
WHERE t.target = 'ivr.queue_events' AND e.callid <> '' AND e.callid <> 'NONE'
UNION
SELECT v.source, v.callid
FROM pg_temp.touch AS t
JOIN ivr.queue_visits AS v
  ON v.source = t.source AND v.last_position >= t.first AND v.first_position < t.past
WHERE t.target = 'ivr.queue_events' AND t.changed AND v.origin = 'queue_events';

INSERT INTO pg_temp.affected (source, call)
SELECT DISTINCT c.source, coalesce(nullif(c.linkedid, ''), c.uniqueid)
FROM pg_temp.touch AS t
JOIN ivr.calls AS c ON c.source = t.source AND c.position >= t.first AND c.position < t.past
WHERE t.target = 'ivr.calls' AND coalesce(nullif(c.linkedid, ''), c.uniqueid) <> ''
UNION
SELECT f.source, f.call
FROM pg_temp.touch AS t
JOIN ivr.call_facts AS f
  ON f.source = t.source AND f.last_position >= t.first AND f.first_position < t.past
WHERE t.target = 'ivr.calls' AND t.changed
UNION
SELECT c.source, coalesce(nullif(c.linkedid, ''), c.uniqueid)
FROM pg_temp.caller AS i
JOIN ivr.calls AS c
  ON c.source = i.source AND c.uniqueid = i.callid AND c.uniqueid IS DISTINCT FROM c.linkedid
UNION
SELECT source, callid FROM pg_temp.caller
UNION
SELECT v.source, v.call FROM pg_temp.caller AS i JOIN ivr.queue_visits AS v USING (source, callid);

ANALYZE pg_temp.affected;

INSERT INTO pg_temp.caller (source, callid)
SELECT c.source, c.uniqueid FROM pg_temp.affected AS a
JOIN ivr.calls AS c ON c.source = a.source AND c.linkedid = a.call WHERE c.uniqueid <> ''
UNION
SELECT source, callid FROM pg_temp.affected JOIN ivr.queue_visits USING (source, call)
UNION
SELECT source, call FROM pg_temp.affected
ON CONFLICT DO NOTHING;

ANALYZE pg_temp.caller;

-- A caller whose channel stands in several calls belongs to one of them.
UPDATE pg_temp.caller AS i SET call = coalesce(least(
  (SELECT min(coalesce(nullif(c.linkedid, ''), c.uniqueid)) FROM ivr.calls AS c
   WHERE c.source = i.source AND c.uniqueid = i.callid AND c.uniqueid IS DISTINCT FROM c.linkedid),
  (SELECT i.callid WHERE EXISTS (
     SELECT FROM ivr.calls AS c
     WHERE c.source = i.source AND c.linkedid = i.callid AND c.uniqueid = i.callid))
), i.callid);

INSERT INTO pg_temp.affected (source, call)
SELECT source, call FROM pg_temp.caller
UNION
SELECT v.source, v.call FROM pg_temp.caller AS i JOIN ivr.queue_visits AS v USING (source, callid)
ON CONFLICT DO NOTHING;

ANALYZE pg_temp.affected;
