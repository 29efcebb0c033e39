-- A day's records of calls, three to a call, and the events of their queues. {day}, {calls}: how many.
CREATE TEMP TABLE call AS
SELECT n, call, started_at, menu, wait, talk, (n * 7 % 300)::int + 200 AS agent,
  400 + (n * 13 % 12)::int AS queue, 910000000 + (n * 5 % 6)::int AS did, n % 10 = 0 AS gave_up
FROM (
  SELECT n, to_char(extract(epoch FROM at), 'FM9999999999') || '.' || n AS call, at AS started_at,
    5 + n % 30 AS menu, n * 37 % 90 AS wait, 30 + (n * 17) % 600 AS talk
  FROM (
    SELECT n, date_trunc('second', '{day} 06:00+00'::timestamptz + n * interval '16 hours' / {calls}) AS at
    FROM generate_series(1, {calls}) AS n
  ) AS placed
) AS made;

INSERT INTO ivr.calls (source, uniqueid, linkedid, sequence, calldate, started_at, src, dst, dcontext,
  channel, dstchannel, lastapp, lastdata, duration, billsec, disposition, did, position, content, ordinal)
SELECT 'pbx', uniqueid, call, 3 * n + part, at AT TIME ZONE 'UTC', at, (600000000 + n)::text, dst, context,
  channel, dstchannel, app, data, duration, billsec, disposition, did::text,
  to_char(at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS')::bigint, md5(call || part)::uuid, 1
FROM call CROSS JOIN LATERAL (VALUES
  (0, call, started_at, queue::text, 'ext-queues', 'PJSIP/trunk-1',
   CASE WHEN gave_up THEN '' ELSE 'Local/' || agent || '@from-queue-1;1' END, 'Queue', queue || ',t',
   menu + wait + CASE WHEN gave_up THEN 0 ELSE talk END, menu + wait + CASE WHEN gave_up THEN 0 ELSE talk END,
   'ANSWERED'),
  (1, call || '1', started_at + menu * interval '1 second', agent::text, 'from-queue',
   'Local/' || agent || '@from-queue-1;2', 'PJSIP/' || agent || '-2', 'Dial', '',
   wait + CASE WHEN gave_up THEN 0 ELSE talk END, CASE WHEN gave_up THEN 0 ELSE talk END,
   CASE WHEN gave_up THEN 'NO ANSWER' ELSE 'ANSWERED' END),
  (2, call || '2', started_at + menu * interval '1 second', (200 + (agent + 1) % 300)::text, 'from-queue',
   'Local/' || (200 + (agent + 1) % 300) || '@from-queue-2;2', 'PJSIP/' || (200 + (agent + 1) % 300) || '-3',
   'Dial', '', wait, 0, 'NO ANSWER')
) AS leg (part, uniqueid, at, dst, context, channel, dstchannel, app, data, duration, billsec, disposition);

INSERT INTO ivr.queue_events (source, id, time, callid, queuename, agent, event, data1, data2, data3,
  happened_at, position, content, ordinal)
SELECT 'pbx', 3 * n + part, at AT TIME ZONE 'UTC', call, queue::text, who, event, data1, data2, data3, at,
  to_char(at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS')::bigint, md5(call || 'event' || part)::uuid, 1
FROM call CROSS JOIN LATERAL (VALUES
  (0, started_at + menu * interval '1 second', 'NONE', 'ENTERQUEUE', '', (600000000 + n)::text, '1'),
  (1, started_at + (menu + wait) * interval '1 second', 'PJSIP/' || agent,
   CASE WHEN gave_up THEN 'ABANDON' ELSE 'CONNECT' END, CASE WHEN gave_up THEN '1' ELSE wait::text END, '1',
   CASE WHEN gave_up THEN wait::text ELSE '3' END),
  (2, started_at + (menu + wait + talk) * interval '1 second', 'PJSIP/' || agent, 'COMPLETECALLER', wait::text,
   talk::text, '1')
) AS told (part, at, who, event, data1, data2, data3)
WHERE NOT (gave_up AND part = 2);
