-- name: tally_schema
-- What became of files and rows, by job and rule, since the beginning.
CREATE SCHEMA IF NOT EXISTS cleanup;
CREATE TABLE IF NOT EXISTS cleanup.tally (
    job         text NOT NULL,
    subject     text NOT NULL,
    outcome     text NOT NULL,
    items       bigint NOT NULL,
    freed_bytes bigint NOT NULL,
    PRIMARY KEY (job, subject, outcome)
);

-- name: tally_exists
SELECT to_regclass('cleanup.tally') IS NOT NULL;

-- name: tally_add
-- $1 job, $2 subjects, $3 outcomes, $4 items, $5 bytes
INSERT INTO cleanup.tally AS old (job, subject, outcome, items, freed_bytes)
SELECT $1, u.subject, u.outcome, sum(u.items), sum(u.freed_bytes)
  FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS u (subject, outcome, items, freed_bytes)
 GROUP BY u.subject, u.outcome
ON CONFLICT (job, subject, outcome) DO UPDATE
   SET items = old.items + excluded.items, freed_bytes = old.freed_bytes + excluded.freed_bytes;

-- name: tally_read
SELECT job, subject, outcome, items, freed_bytes FROM cleanup.tally ORDER BY job, subject, outcome LIMIT 4000;
