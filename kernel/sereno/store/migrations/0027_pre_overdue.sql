-- Jobs that are overdue: a mark each, by which one node tells of it. Replicas of the version before keep that mark as a row
-- of `notification` for the notifier ''. Until a *post* migration the two follow each other: whichever is made first keeps
-- the other version from telling. docs/adr/0029 says why.

CREATE TABLE sereno.overdue (
    job      text PRIMARY KEY,
    severity text NOT NULL,
    told_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

INSERT INTO sereno.overdue (job, severity, told_at)
SELECT job, severity, raised_at FROM sereno.notification
 WHERE open AND notifier = '' AND kind = 'job_overdue' AND job IS NOT NULL
ON CONFLICT DO NOTHING;

CREATE FUNCTION sereno.overdue_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.open THEN
        INSERT INTO sereno.overdue (job, severity) VALUES (NEW.job, NEW.severity) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM sereno.overdue WHERE job = NEW.job;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER overdue_told AFTER INSERT ON sereno.notification FOR EACH ROW
    WHEN (NEW.open AND NEW.notifier = '' AND NEW.kind = 'job_overdue' AND NEW.job IS NOT NULL)
    EXECUTE FUNCTION sereno.overdue_follows();
CREATE TRIGGER overdue_over AFTER UPDATE OF open ON sereno.notification FOR EACH ROW
    WHEN (OLD.open IS DISTINCT FROM NEW.open AND NEW.notifier = '' AND NEW.kind = 'job_overdue' AND NEW.job IS NOT NULL)
    EXECUTE FUNCTION sereno.overdue_follows();

CREATE FUNCTION sereno.notification_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('sereno.notification') IS NULL THEN
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO sereno.notification (key, notifier, kind, severity, job, open, message, state, due_at, sent_at)
        VALUES ('job_overdue ' || NEW.job, '', 'job_overdue', NEW.severity, NEW.job, true,
                jsonb_build_object('title', NEW.job || ' is overdue', 'text', '', 'at', NEW.told_at, 'facts', '{}'::jsonb),
                'sent', NEW.told_at, NEW.told_at)
        ON CONFLICT (key, notifier) WHERE open DO NOTHING;
    ELSE
        UPDATE sereno.notification SET open = false
         WHERE open AND notifier = '' AND key = 'job_overdue ' || OLD.job;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER notification_follows AFTER INSERT OR DELETE ON sereno.overdue FOR EACH ROW
    EXECUTE FUNCTION sereno.notification_follows();
