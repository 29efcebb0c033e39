-- What a replica of the first schema had left behind: a job that runs each hour, five hours of it, an outage of three
-- hours as a range, a paused schedule, a queued and a running run, a log line, a person's change.
INSERT INTO sereno.leadership (term) VALUES (0) ON CONFLICT DO NOTHING;
UPDATE sereno.leadership SET term = 7, node = '00000000-0000-0000-0000-000000000001';
INSERT INTO sereno.node (id, label, pid, version) VALUES ('00000000-0000-0000-0000-000000000001', 'old:1', 1, '0.1.0');
INSERT INTO sereno.term (term, node) VALUES (7, '00000000-0000-0000-0000-000000000001');
INSERT INTO sereno.job (name, plugin, policies, after, params, severity)
VALUES ('etl.sync', 'etl', '{"priority": 2}', '{}', NULL, 'critical'),
       ('etl.report', 'etl', '{}', '{etl.sync}', '{"day": {"type": "string", "required": false}}', 'warning');
INSERT INTO sereno.job_stat (job, succeeded, coalesced) VALUES ('etl.sync', 2, 3), ('etl.report', 0, 0);

INSERT INTO sereno.schedule (name, job, origin, declared, overrides, state, paused_by, paused_reason, version)
VALUES ('etl.sync', 'etl.sync', 'plugin', '{"trigger": "every 1h"}', '{"params": {"site": "vigo"}}', 'active', NULL, NULL, 2),
       ('etl.report@mine', 'etl.report', 'user', '{"trigger": "every 1h"}', '{}', 'paused', 'ana', 'holidays', 2);
INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state, trigger, params, policies, changed_by, reason)
SELECT s.id, v.version, v.valid_from, v.state, 'every 1h', '{}', '{}', 'ana', ''
  FROM sereno.schedule s
  JOIN (VALUES ('etl.sync', 1, timestamptz '2026-03-01T04:30Z', 'active'),
               ('etl.sync', 2, '2026-03-01T08:30Z', 'active'),
               ('etl.report@mine', 1, '2026-03-01T04:30Z', 'active'),
               ('etl.report@mine', 2, '2026-03-01T04:45Z', 'paused')) AS v(name, version, valid_from, state)
    ON v.name = s.name;
INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at, version, open_first, open_what)
SELECT id, job, '2026-03-01T09:30Z', CASE state WHEN 'active' THEN timestamptz '2026-03-01T10:00Z' END, '2026-03-01T10:00Z', 2,
       CASE state WHEN 'paused' THEN timestamptz '2026-03-01T05:00Z' END, CASE state WHEN 'paused' THEN 'skipped paused' END
  FROM sereno.schedule;

INSERT INTO sereno.run (job, state, cause, schedule_id, slot, attempt, node, term, started_at, finished_at, result)
SELECT 'etl.sync', 'succeeded', 'slot', s.id, slot, 1, '00000000-0000-0000-0000-000000000001', 7, slot, slot, '{"rows": 3}'
  FROM sereno.schedule s, unnest('{2026-03-01T05:00Z,2026-03-01T09:00Z}'::timestamptz[]) AS slot WHERE s.name = 'etl.sync';
INSERT INTO sereno.slot (schedule_id, slot, verdict, run_id, term) SELECT schedule_id, slot, 'ran', id, 7 FROM sereno.run;
INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict, reason, term)
SELECT id, timestamptz '2026-03-01T06:00Z', timestamptz '2026-03-01T08:00Z', 3, 'coalesced', 'into a later slot', 7
  FROM sereno.schedule WHERE name = 'etl.sync'
UNION ALL
SELECT id, '2026-03-01T05:00Z', '2026-03-01T09:00Z', 5, 'skipped', 'paused', 7
  FROM sereno.schedule WHERE name = 'etl.report@mine';

INSERT INTO sereno.run (job, state, cause, attempt, params, unique_key, requested_by, node, term, started_at)
VALUES ('etl.report', 'queued', 'person', 0, '{"day": "2026-03-01"}', 'day', 'ana', NULL, NULL, NULL),
       ('etl.sync', 'running', 'program', 2, '{}', NULL, 'app', '00000000-0000-0000-0000-000000000001', 7, clock_timestamp());
INSERT INTO sereno.attempt (run_id, attempt, state, error) SELECT id, 1, 'failed', 'E: x' FROM sereno.run WHERE state = 'running';
INSERT INTO sereno.run_progress (run_id, done, checkpoint) SELECT id, 5, '{"at": 5}' FROM sereno.run WHERE state = 'running';
INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)
SELECT id, 2, 0, clock_timestamp(), 'INFO', 'etl', 'half way' FROM sereno.run WHERE state = 'running';
INSERT INTO sereno.chain_arrival (downstream, upstream, run_id) VALUES ('etl.report', 'etl.sync', 1);
INSERT INTO sereno.change (by, subject, action) VALUES ('ana', 'etl.report@mine', 'pause');
