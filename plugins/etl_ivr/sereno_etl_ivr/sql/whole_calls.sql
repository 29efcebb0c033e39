-- As in schema.sql.
CREATE OR REPLACE VIEW ivr.whole_calls AS
SELECT source, coalesce(nullif(linkedid, ''), uniqueid) AS call,
       min(started_at) AS started_at,
       max(started_at + greatest(duration, 0) * interval '1 second') AS ended_at,
       count(*) AS legs,
       max(billsec) FILTER (WHERE disposition = 'ANSWERED' AND dstchannel <> '') AS talk_seconds,
       coalesce(bool_or(disposition = 'ANSWERED' AND dstchannel <> ''), false) AS answered
FROM ivr.calls
GROUP BY 1, 2
