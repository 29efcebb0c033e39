-- What people are told of: the queue of notifications, what keeps them from being told twice, and the record of what
-- was sent. docs/notify.md tells how.

CREATE TABLE sereno.notification (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        text NOT NULL,                    -- what it is about: 'job_overdue etl.sync'
    notifier   text NOT NULL,                    -- who carries it; '' stands for the hooks of plugins
    kind       text NOT NULL,
    severity   text NOT NULL,
    job        text,
    resolved   boolean NOT NULL DEFAULT false,
    open       boolean NOT NULL,                 -- until it is over, or told again
    message    jsonb NOT NULL,
    suppressed integer NOT NULL DEFAULT 0,       -- the same, not told between the message before and this one
    repeats    integer NOT NULL DEFAULT 0,       -- the same, not told since
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed', 'dropped')),
    attempts   integer NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL,             -- of the next try; while one is under way, when it counts as lost
    raised_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    raised_by  uuid,
    sent_at    timestamptz,
    sent_by    uuid,
    error      text
);
-- Of whatever two nodes find out at once, one row remains: exactly one of them tells.
CREATE UNIQUE INDEX notification_open ON sereno.notification (key, notifier) WHERE open;
CREATE INDEX notification_due ON sereno.notification (due_at) WHERE state = 'waiting';
CREATE INDEX notification_raised ON sereno.notification (raised_at);
