-- Chains: runs after which nothing follows, and params that a run gets from those before it.
--
-- A replica of the version before chains an `alone` run as any other, and hands nothing on: a run that lacks what it was to
-- be given fails, and says so. New columns are null, so every change here is one of the catalogue alone.

ALTER TABLE sereno.run ADD COLUMN alone boolean;              -- true: what is chained after it does not follow
ALTER TABLE sereno.job ADD COLUMN params_from jsonb;          -- of each param the path to it: job, params or result, keys
ALTER TABLE sereno.chain_arrival ADD COLUMN params jsonb;     -- of the run that arrived, where the fan-in takes some
ALTER TABLE sereno.cancel_request ADD COLUMN chain boolean;   -- true: and what is chained after it does not follow

-- What `params_from` takes from `upstream` ({job: {"params": ..., "result": ...}}); a param whose path leads nowhere is
-- left out, and the run that lacks it fails.
CREATE FUNCTION sereno.handed_on(params_from jsonb, upstream jsonb) RETURNS jsonb LANGUAGE sql STABLE
RETURN (SELECT coalesce(jsonb_object_agg(p.name, p.value) FILTER (WHERE p.value IS NOT NULL), '{}')
          FROM (SELECT e.key AS name,
                       handed_on.upstream #> ARRAY(SELECT jsonb_array_elements_text(e.value)) AS value
                  FROM jsonb_each(handed_on.params_from) AS e) AS p);

-- Have nothing follow after a run that this transaction has queued: SELECT sereno.alone(sereno.enqueue('etl.sync')). Returns
-- the run. One that was queued before (and holds a unique key, say) stays as it is, with a sentence.
CREATE FUNCTION sereno.alone(run bigint) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    top  bigint := pg_current_xact_id()::text::bigint;
    one  record;
    here boolean := false;
BEGIN
    SELECT r.alone, r.xmin::text::bigint AS made INTO one FROM sereno.run r WHERE r.id = alone.run;
    IF one.alone THEN
        RETURN run;
    END IF;
    BEGIN   -- who can see what is not committed yet has made it, in a savepoint of this transaction or outside
        here := pg_xact_status(((top >> 32 << 32) + one.made)::text::xid8) = 'in progress';
    EXCEPTION WHEN invalid_parameter_value THEN   -- of an older epoch
        NULL;
    END;
    IF here IS NOT TRUE THEN
        RAISE EXCEPTION 'run % was queued before this transaction, and what is chained after it follows; leave its unique_key out, or wait for its end',
            run USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE sereno.run r SET alone = true WHERE r.id = alone.run;
    RETURN run;
END $$;
REVOKE EXECUTE ON FUNCTION sereno.alone(bigint) FROM PUBLIC;
DO $$
DECLARE
    able record;
BEGIN
    FOR able IN SELECT r.rolname FROM pg_roles r
                 WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND has_schema_privilege(r.oid, 'sereno', 'USAGE')
                   AND has_function_privilege(r.oid, 'sereno.enqueue(text, jsonb, timestamptz, integer, text, text, text, text)',
                                              'EXECUTE') LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION sereno.alone(bigint) TO %I', able.rolname);
    END LOOP;
END $$;
