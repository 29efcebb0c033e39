-- What people know a job by, and tags of runs. Whoever gives a run no tag pays nothing: its column is null, and no row of
-- run_tag is of it.

ALTER TABLE sereno.job ADD COLUMN title text, ADD COLUMN owner text, ADD COLUMN runbook text, ADD COLUMN tags text[];
ALTER TABLE sereno.run ADD COLUMN tags text[];

CREATE TABLE sereno.run_tag (           -- by a tag its runs are found in the order of their numbers
    tag    text COLLATE "C" NOT NULL,
    run_id bigint NOT NULL,
    PRIMARY KEY (tag, run_id)
);

CREATE INDEX schedule_tagged ON sereno.schedule (id) WHERE declared ? 'tags' OR overrides ? 'tags';

-- Give a run tags as it is queued: SELECT sereno.tag(sereno.enqueue('shop.mail', '{"order": 7}'), '{tenant-7,import}').
-- Returns the run. One that was there before, as it holds the unique_key, keeps its own.
CREATE FUNCTION sereno.tag(run bigint, tags text[]) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given text[] := ARRAY(SELECT DISTINCT u.t COLLATE "C" FROM unnest(tag.tags) AS u (t) ORDER BY 1);
    wrong text;
BEGIN
    SELECT u.t INTO wrong FROM unnest(given) AS u (t)
     WHERE u.t IS NULL OR u.t = '' OR btrim(u.t) <> u.t OR length(u.t) > 60 OR u.t ~ '[\x01-\x1f\x7f-\x9f]' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'tag ''%'' must be a text of at most 60 characters, without a blank at its ends or what cannot be seen',
            left(coalesce(wrong, 'null'), 80) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(given) > 20 THEN
        RAISE EXCEPTION '% tags are more than 20', cardinality(given) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(given) > 0 THEN
        UPDATE sereno.run r SET tags = given
         WHERE r.id = tag.run AND r.tags IS NULL AND r.xmin = pg_current_xact_id()::xid;
        IF FOUND THEN
            INSERT INTO sereno.run_tag (tag, run_id) SELECT u.t, tag.run FROM unnest(given) AS u (t);
        END IF;
    END IF;
    RETURN tag.run;
END $$;

-- Whoever may queue runs may give them tags.
REVOKE EXECUTE ON FUNCTION sereno.tag(bigint, text[]) FROM PUBLIC;
DO $$
DECLARE
    able record;
BEGIN
    FOR able IN SELECT DISTINCT a.grantee::regrole::text AS role
                  FROM pg_proc p, aclexplode(p.proacl) AS a
                 WHERE p.pronamespace = 'sereno'::regnamespace AND p.proname = 'enqueue' AND a.privilege_type = 'EXECUTE'
                   AND a.grantee NOT IN (0, p.proowner) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION sereno.tag(bigint, text[]) TO %s', able.role);
    END LOOP;
END $$;

CREATE FUNCTION sereno.run_untag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM sereno.run_tag t WHERE t.tag = ANY (OLD.tags) AND t.run_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER run_untag AFTER DELETE ON sereno.run
    FOR EACH ROW WHEN (OLD.tags IS NOT NULL) EXECUTE FUNCTION sereno.run_untag();
