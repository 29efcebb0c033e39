-- name: backend_pid
SELECT pg_backend_pid();

-- name: session_name
-- $1 settings, $2 their values, $3 for this transaction alone.
SELECT set_config(s.name, s.value, $3) FROM unnest($1::text[], $2::text[]) AS s (name, value);

-- name: session_differs
-- $1 settings, $2 values, $3 ms that a statement may take, $4 ms that it is to wait for a lock (0: as long). Whether this
-- session has another value of any, ends a statement sooner, or has it wait for a lock less than half as long, or longer.
SELECT EXISTS (SELECT 1 FROM unnest($1::text[], $2::text[]) AS s (name, value)
                WHERE current_setting(s.name) <> s.value)
    OR EXISTS (SELECT 1 FROM pg_settings s
                WHERE (s.name = 'statement_timeout' AND s.setting::bigint BETWEEN 1 AND $3::bigint - 1)
                   OR (s.name = 'lock_timeout' AND s.setting::bigint NOT BETWEEN $4::bigint / 2 AND $4));

-- name: plans_discard
-- Has each statement of this session planned anew when it is used next.
DISCARD PLANS;
