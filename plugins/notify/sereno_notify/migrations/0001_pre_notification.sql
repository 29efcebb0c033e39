-- What people are told of: the queue of notifications, what keeps them from being told twice, and the record of what was
-- sent. The table was the kernel's: it is taken over as it is, and a view of it stays for replicas of the version before,
-- so that both claim, send and record the same rows. The view has `xmax`, by which they know what they have inserted.

DO $$
DECLARE
    granted record;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('sereno.notification')) = 'r' THEN
        ALTER TABLE sereno.notification SET SCHEMA sereno_notify;
        CREATE VIEW sereno.notification AS
        SELECT id, key, notifier, kind, severity, job, resolved, open, message, suppressed, repeats, state, attempts, due_at,
               raised_at, raised_by, sent_at, sent_by, error, message_id, token, xmax
          FROM sereno_notify.notification;
        FOR granted IN
            SELECT a.privilege_type AS what, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS who
              FROM pg_class c, aclexplode(c.relacl) a
             WHERE c.oid = 'sereno_notify.notification'::regclass AND a.grantee <> c.relowner
               AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
        LOOP
            EXECUTE format('GRANT %s ON sereno.notification TO %s', granted.what, granted.who);
        END LOOP;
        RETURN;
    END IF;
    CREATE TABLE sereno_notify.notification (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key        text NOT NULL,                    -- what it is about: 'job_overdue etl.sync'
        notifier   text NOT NULL,                    -- who carries it
        kind       text NOT NULL,
        severity   text NOT NULL,
        job        text,
        resolved   boolean NOT NULL DEFAULT false,
        open       boolean NOT NULL,                 -- until it is over, or told again
        message    jsonb NOT NULL,
        suppressed integer NOT NULL DEFAULT 0,       -- the same, not told between the message before and this one
        repeats    integer NOT NULL DEFAULT 0,       -- the same, not told since
        state      text NOT NULL DEFAULT 'waiting',
        attempts   integer NOT NULL DEFAULT 0,
        due_at     timestamptz NOT NULL,             -- of the next try; while one is under way, when it counts as lost
        raised_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        raised_by  uuid,
        sent_at    timestamptz,
        sent_by    uuid,
        error      text,
        message_id bigint REFERENCES sereno.message ON DELETE CASCADE,
        token      uuid NOT NULL DEFAULT gen_random_uuid(),
        CONSTRAINT notification_state_check
            CHECK (state IN ('waiting', 'queued', 'sent', 'failed', 'dropped', 'unknown'))
    );
    -- Of whatever two nodes find out at once, one row remains: exactly one of them tells.
    CREATE UNIQUE INDEX notification_open ON sereno_notify.notification (key, notifier) WHERE open;
    CREATE INDEX notification_due ON sereno_notify.notification (due_at) WHERE state = 'waiting';
    CREATE INDEX notification_queued ON sereno_notify.notification (due_at) WHERE state = 'queued';
    CREATE INDEX notification_raised ON sereno_notify.notification (raised_at);
    CREATE INDEX notification_message ON sereno_notify.notification (message_id) WHERE message_id IS NOT NULL;
END
$$;
