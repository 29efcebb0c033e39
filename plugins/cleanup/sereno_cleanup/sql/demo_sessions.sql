-- 30 sessions, most of which have expired already.
INSERT INTO django_session (session_key, session_data, expire_date)
SELECT md5(random()::text || clock_timestamp()::text), 'demo',
       now() + make_interval(secs => (random() * 120 - 90)::int)
FROM generate_series(1, 30)
ON CONFLICT DO NOTHING
