-- name: demo_session_table
-- As Django's migrations make it.
CREATE TABLE IF NOT EXISTS django_session (
  session_key varchar(40) PRIMARY KEY,
  session_data text NOT NULL,
  expire_date timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS django_session_expire_date ON django_session (expire_date);

-- name: demo_sessions
-- 30 sessions, most of which have expired already.
INSERT INTO django_session (session_key, session_data, expire_date)
SELECT md5(random()::text || clock_timestamp()::text), 'demo',
       now() + make_interval(secs => (random() * 120 - 90)::int)
FROM generate_series(1, 30)
ON CONFLICT DO NOTHING;
