-- A copy of the database that becomes a cluster of its own (sereno new-cluster) delivers nothing that the one before does.

CREATE OR REPLACE FUNCTION sereno_reports.cluster_begins(beside boolean) RETURNS void LANGUAGE sql AS $$
    UPDATE sereno_reports.delivery SET state = 'unknown', changed_at = clock_timestamp(),
           error = 'the cluster that this one was copied from delivers it'
     WHERE beside AND state IN ('waiting', 'queued', 'sending')
$$;
