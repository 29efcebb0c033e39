-- What checks have found, one row each time a check was made.
CREATE SCHEMA IF NOT EXISTS cleanup;
CREATE TABLE IF NOT EXISTS cleanup.check_result (
    "check"  text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    ok       boolean NOT NULL,
    sentence text NOT NULL,
    examples jsonb NOT NULL DEFAULT '[]',
    run_id   bigint,
    PRIMARY KEY ("check", at)
)
