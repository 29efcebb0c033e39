-- A copy of the database that becomes a cluster of its own (sereno new-cluster) tells nobody what the one before tells.

CREATE OR REPLACE FUNCTION sereno_notify.cluster_begins(beside boolean) RETURNS void LANGUAGE sql AS $$
    UPDATE sereno_notify.notification SET state = 'dropped', error = 'the cluster that this one was copied from tells it'
     WHERE beside AND state IN ('waiting', 'queued')
$$;
