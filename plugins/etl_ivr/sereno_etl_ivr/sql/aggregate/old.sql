-- Forgets the facts that are made anew, and keeps whose quarter hours they were in.
INSERT INTO pg_temp.quarter
SELECT DISTINCT f.source, f.quarter FROM pg_temp.affected AS a JOIN ivr.call_facts AS f USING (source, call);

DELETE FROM ivr.call_facts AS f USING pg_temp.affected AS a WHERE f.source = a.source AND f.call = a.call;
DELETE FROM ivr.agent_calls AS f USING pg_temp.affected AS a WHERE f.source = a.source AND f.call = a.call;
DELETE FROM ivr.queue_visits AS f USING pg_temp.caller AS i WHERE f.source = i.source AND f.callid = i.callid;
DELETE FROM ivr.queue_visits AS f USING pg_temp.affected AS a
WHERE f.source = a.source AND f.call = a.call AND f.origin = 'calls';
