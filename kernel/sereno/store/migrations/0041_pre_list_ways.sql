-- The trail is read by who or what a change is of, in the order of its numbers: without walking the rest of it. A name
-- before an @ stands for all that begin with it: a job for its schedules, a person for every host.

CREATE INDEX change_subject ON sereno.change (subject, id);
CREATE INDEX change_job ON sereno.change (split_part(subject, '@', 1), id);
CREATE INDEX change_asker ON sereno.change (split_part(by, '@', 1), id);
CREATE INDEX change_at ON sereno.change (at);
CREATE INDEX change_drift ON sereno.change (id) WHERE action = 'drift';

-- Blackouts are listed by when they begin.
CREATE INDEX blackout_starts ON sereno.blackout (starts_at, id);

-- By how many seconds a node's clock is ahead of the database's, as it says each time that it is seen.
ALTER TABLE sereno.node ADD COLUMN clock_offset double precision;
