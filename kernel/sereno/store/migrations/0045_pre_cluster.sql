-- Clusters: a copy of a database that is to go on beside it is a cluster of another name, and takes in no replica that
-- does not know that name: docs/new-cluster.md. The first cluster of all has none, and needs no row.

CREATE TABLE sereno.cluster (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL CHECK (name <> ''),
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    begun_by text NOT NULL
);

CREATE FUNCTION sereno.cluster_name() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT c.name FROM sereno.cluster c ORDER BY c.id DESC LIMIT 1), '')
$$;

-- The cluster that a replica takes itself to be of. One of the version before says none.
ALTER TABLE sereno.node ADD COLUMN cluster text NOT NULL DEFAULT '';

-- Whose work it was that was due up to doubtful_until: of the cluster that this one was copied from, which goes on with
-- it; null: nobody's, so it is caught up.
ALTER TABLE sereno.timeline ADD COLUMN beside boolean NOT NULL DEFAULT false;

CREATE FUNCTION sereno.node_of_cluster() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    here text := sereno.cluster_name();
BEGIN
    IF NEW.cluster <> here THEN
        RAISE EXCEPTION 'this database is of the cluster ''%'', and replica ''%'' is of %: database_url leads it to a copy', here,
            NEW.label, CASE NEW.cluster WHEN '' THEN 'one without a name' ELSE '''' || NEW.cluster || '''' END
            USING ERRCODE = 'SR001',
                  HINT = CASE here WHEN '' THEN 'leave the setting cluster out' ELSE 'set cluster = "' || here || '"' END;
    END IF;
    RETURN NEW;
END $$;
-- What a replica says of itself: as it joins, comes back, and every 15 s.
CREATE TRIGGER node_of_cluster_joins BEFORE INSERT ON sereno.node FOR EACH ROW EXECUTE FUNCTION sereno.node_of_cluster();
CREATE TRIGGER node_of_cluster_seen BEFORE UPDATE OF seen_at ON sereno.node FOR EACH ROW
    WHEN (NEW.left_at IS NULL) EXECUTE FUNCTION sereno.node_of_cluster();

-- What schemas of plugins hold that is the work of the cluster before, and must not be done twice: each that has a function
-- cluster_begins(beside boolean) is asked to settle it. Returns which were.
CREATE FUNCTION sereno.cluster_begins_for_plugins(beside boolean) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    one text;
BEGIN
    FOR one IN SELECT p.name FROM sereno.plugin_schema p
                WHERE to_regprocedure(format('%I.cluster_begins(boolean)', p.name)) IS NOT NULL ORDER BY p.name
    LOOP
        EXECUTE format('SELECT %I.cluster_begins($1)', one) USING beside;
        RETURN NEXT one;
    END LOOP;
END $$;
