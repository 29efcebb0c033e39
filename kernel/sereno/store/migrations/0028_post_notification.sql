-- `notification` was the kernel's: by now it is the table of a plugin, which left a view of it here for replicas of the
-- version before. Where no plugin has taken it over, what waits in it is not thrown away.

DO $$
DECLARE
    waiting bigint;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('sereno.notification')) = 'r' THEN
        SELECT count(*) INTO waiting FROM sereno.notification WHERE state IN ('waiting', 'queued');
        IF waiting > 0 THEN
            RAISE EXCEPTION '% messages wait in sereno.notification, and no plugin has taken them over', waiting
                USING HINT = 'start a replica with sereno-notify, which does, or delete them';
        END IF;
    END IF;
END
$$;
DROP TRIGGER notification_follows ON sereno.overdue;
DROP FUNCTION sereno.notification_follows();
DROP FUNCTION sereno.overdue_follows() CASCADE;
DO $$
DECLARE
    kind "char" := (SELECT relkind FROM pg_class WHERE oid = to_regclass('sereno.notification'));
BEGIN
    IF kind = 'v' THEN
        DROP VIEW sereno.notification;
    ELSIF kind = 'r' THEN
        DROP TABLE sereno.notification;
    END IF;
END
$$;
