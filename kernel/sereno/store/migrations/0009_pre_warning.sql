-- What a run warns of though it goes on: each text once for each attempt, with how often it was said, and a count for each
-- job that no pruning takes back. Replicas of the version before write neither, and go on as they did.

CREATE TABLE sereno.run_warning (
    run_id   bigint NOT NULL REFERENCES sereno.run ON DELETE CASCADE,
    attempt  integer NOT NULL,
    number   integer NOT NULL,                     -- in the order in which they were first said
    message  text NOT NULL,
    times    bigint NOT NULL,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, attempt, number)
);

ALTER TABLE sereno.job_stat ADD COLUMN warnings bigint NOT NULL DEFAULT 0;
