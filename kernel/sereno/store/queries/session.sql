-- name: backend_pid
SELECT pg_backend_pid();

-- name: session_name
-- $1 settings, $2 their values, $3 for this transaction alone.
SELECT set_config(s.name, s.value, $3) FROM unnest($1::text[], $2::text[]) AS s (name, value);

-- name: session_differs
-- $1 settings, $2 values. Whether this session has another value of any.
SELECT EXISTS (SELECT 1 FROM unnest($1::text[], $2::text[]) AS s (name, value)
                WHERE current_setting(s.name) <> s.value);
