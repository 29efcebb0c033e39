-- A run of a job that works at each host or node (ADR 36) may be asked for at one of them.

CREATE FUNCTION sereno.at_place(run bigint, place text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    top  bigint := pg_current_xact_id()::text::bigint;
    one  record;
    here boolean := false;
BEGIN
    IF coalesce(at_place.place, '') = '' OR length(at_place.place) > 200 THEN
        RAISE EXCEPTION 'run %: its place is %, it must be the name of a host or a node, of 1 to 200 characters', run,
            coalesce(quote_literal(left(at_place.place, 60)), 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT r.job, r.only_at, r.xmin::text::bigint AS made, j.policies ->> 'scope' AS scope INTO one
      FROM sereno.run r LEFT JOIN sereno.job j ON j.name = r.job WHERE r.id = at_place.run;
    IF one.only_at = at_place.place THEN
        RETURN run;
    END IF;
    IF coalesce(one.scope, 'cluster') NOT IN ('host', 'node') THEN
        RAISE EXCEPTION 'job ''%'': a run at one place is asked for, and its scope is cluster; leave the place out, or declare the job with scope=''host'' or ''node''',
            one.job USING ERRCODE = 'invalid_parameter_value';
    END IF;
    BEGIN   -- who can see what is not committed yet has made it, in a savepoint of this transaction or outside
        here := pg_xact_status(((top >> 32 << 32) + one.made)::text::xid8) = 'in progress';
    EXCEPTION WHEN invalid_parameter_value THEN   -- of an older epoch
        NULL;
    END;
    IF here IS NOT TRUE THEN
        RAISE EXCEPTION 'run % was queued before this transaction, for other places; leave its unique_key out, or wait for its end',
            run USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE sereno.run r SET only_at = at_place.place WHERE r.id = at_place.run;
    RETURN run;
END $$;
REVOKE EXECUTE ON FUNCTION sereno.at_place(bigint, text) FROM PUBLIC;
DO $$
DECLARE
    able record;
BEGIN
    FOR able IN SELECT r.rolname FROM pg_roles r
                 WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND has_schema_privilege(r.oid, 'sereno', 'USAGE')
                   AND has_function_privilege(r.oid, 'sereno.alone(bigint)', 'EXECUTE') LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION sereno.at_place(bigint, text) TO %I', able.rolname);
    END LOOP;
END $$;
