-- What became of files and rows, by job and rule, since the beginning.
CREATE SCHEMA IF NOT EXISTS cleanup;
CREATE TABLE IF NOT EXISTS cleanup.tally (
    job         text NOT NULL,
    subject     text NOT NULL,
    outcome     text NOT NULL,
    items       bigint NOT NULL,
    freed_bytes bigint NOT NULL,
    PRIMARY KEY (job, subject, outcome)
)
