-- Timelines: which history of the database the rows are from. A promoted standby, a restore and a copy go on from commits
-- that the history before may have gone beyond: docs/restore.md.

CREATE TABLE sereno.timeline (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system         text,                          -- the cluster's own number; null: this role may not read it
    database       bigint NOT NULL,               -- the database's oid in it
    timeline       bigint,                        -- of its log of writes; null: cannot be read here
    seen_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_by        uuid,
    term           bigint NOT NULL,               -- from where terms went on
    doubtful_until timestamptz,                   -- what was due up to here may have run already; null: nothing may
    known_until    timestamptz,                   -- the last commit that came from the history before; null: not known
    settled_at     timestamptz,                   -- since when no run that may have run already waits any more
    numbers        jsonb NOT NULL DEFAULT '{}'    -- by column, from where its numbers went on
);

-- What tells one history from another. What this role or this server does not tell is null.
CREATE FUNCTION sereno.timeline_here(OUT system text, OUT database bigint, OUT timeline bigint) LANGUAGE plpgsql AS $$
BEGIN
    SELECT d.oid::bigint INTO database FROM pg_database d WHERE d.datname = current_database();
    BEGIN
        SELECT s.system_identifier::text INTO system FROM pg_control_system() AS s;
    EXCEPTION WHEN OTHERS THEN
        system := NULL;
    END;
    BEGIN
        -- Not the control file's: until the first checkpoint after a promotion that names the timeline before.
        timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;
    EXCEPTION WHEN OTHERS THEN
        timeline := NULL;
    END;
END $$;

-- Set each sequence of a column of ours that is behind its rows to the last of them: as a logical switch-over leaves
-- them. `ahead`: and far beyond, by a thousand million, so that no number is given out again that commits which are lost
-- had given out; of small ones, by a tenth of what is left. Returns what was set.
CREATE FUNCTION sereno.numbers_advance(ahead boolean, OUT number text, OUT was bigint, OUT became bigint)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    owned record;
    top   bigint;
BEGIN
    FOR owned IN
        SELECT c.oid::regclass AS rows, a.attname AS name, s.oid::regclass AS numbers, q.seqmax AS most,
               c.relname || '.' || a.attname AS told
          FROM pg_depend d
          JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
          JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0
          JOIN pg_class c ON c.oid = d.refobjid
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
           AND d.deptype IN ('a', 'i') AND c.relnamespace = 'sereno'::regnamespace
         ORDER BY c.relname, a.attname
    LOOP
        EXECUTE format('SELECT coalesce(max(%I), 0) FROM %s', owned.name, owned.rows) INTO top;
        EXECUTE format('SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM %s', owned.numbers) INTO was;
        top := greatest(top, was);
        became := top + CASE WHEN ahead THEN least(1000000000, (owned.most - top) / 10) ELSE 0 END;
        IF became > was THEN
            PERFORM setval(owned.numbers, became);
            number := owned.told;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- Called by who holds the leader's lock, before its term begins. Notes the history that the database is on; where that is
-- another than the one noted last, terms and numbers go on far ahead, and what was due by now counts as doubtful. All of
-- it, or nothing. `remembered`: the newest term that the caller knows of; a database that has an older one has forgotten.
CREATE FUNCTION sereno.timeline_enter(remembered bigint, node uuid, OUT changed boolean, OUT last sereno.timeline,
                                      OUT advanced jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    here   record;
    newest bigint;
    told   bigint;
BEGIN
    SELECT * INTO here FROM sereno.timeline_here();
    SELECT * INTO last FROM sereno.timeline t ORDER BY t.id DESC LIMIT 1;
    SELECT l.term INTO newest FROM sereno.leadership l;
    changed := coalesce(remembered > newest, false) OR coalesce(here.system <> last.system, false)
               OR coalesce(here.database <> last.database, false) OR coalesce(here.timeline <> last.timeline, false);
    told := greatest(newest, (SELECT max(t.term) FROM sereno.term t));   -- its rows are ahead where they came by a copy
    IF changed THEN
        told := greatest(told, remembered) + 1000000;
    END IF;
    IF told > newest THEN
        UPDATE sereno.leadership SET term = told;
    END IF;
    SELECT coalesce(jsonb_object_agg(a.number, a.became), '{}') INTO advanced FROM sereno.numbers_advance(changed) AS a;
    IF changed OR last.id IS NULL THEN
        INSERT INTO sereno.timeline (system, database, timeline, seen_by, term, doubtful_until, known_until, settled_at, numbers)
        VALUES (here.system, here.database, here.timeline, node, told,
                -- A slot is settled up to 40 ms before its instant.
                CASE WHEN changed THEN clock_timestamp() + interval '40 ms' END,
                CASE WHEN changed AND here.system = last.system AND here.database = last.database
                          AND here.timeline > last.timeline THEN pg_last_xact_replay_timestamp() END,
                CASE WHEN NOT changed THEN clock_timestamp() END, advanced)
        RETURNING * INTO last;
    ELSIF (last.system IS NULL AND here.system IS NOT NULL) OR (last.timeline IS NULL AND here.timeline IS NOT NULL) THEN
        UPDATE sereno.timeline t SET system = coalesce(t.system, here.system), timeline = coalesce(t.timeline, here.timeline)
         WHERE t.id = last.id RETURNING * INTO last;
    END IF;
END $$;
