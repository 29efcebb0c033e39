-- name: pulse
-- $1, $2 the newest run and the newest change that were seen, null at first. By what one tells that something has
-- changed: costs the same however much is kept and waits. `begun`, `changed`: of the newest thousand since.
SELECT statement_timestamp() AS now,
       (SELECT coalesce(max(id), 0) FROM sereno.run) AS newest,
       (SELECT coalesce(array_agg(DISTINCT r.job), '{}')
          FROM (SELECT job FROM sereno.run WHERE id > $1::bigint ORDER BY id DESC LIMIT 1000) r) AS begun,
       (SELECT coalesce(json_object_agg(t.job, json_build_array(
                   t.succeeded, t.failed, t.timed_out, t.cancelled, t.lost, t.retried,
                   t.late, t.coalesced, t.skipped, t.missed))::text, '{}')
          FROM sereno.job_stat t) AS ended,
       (SELECT coalesce(json_object_agg(r.job, json_build_array(r.runs, r.newest, r.attempts))::text, '{}')
          FROM (SELECT job, count(*) AS runs, max(id) AS newest, sum(attempt) AS attempts
                  FROM sereno.run WHERE state = 'running' GROUP BY job) r) AS running,
       (SELECT coalesce(max(id), 0) FROM sereno.change) AS change,
       (SELECT coalesce(array_agg(DISTINCT c.subject), '{}')
          FROM (SELECT subject FROM sereno.change WHERE id > $2::bigint ORDER BY id DESC LIMIT 1000) c) AS changed,
       (SELECT coalesce(json_agg(json_build_array(b.id, b.state, b.matched))::text, '[]')
          FROM (SELECT id, state, matched FROM sereno.bulk ORDER BY id DESC LIMIT 20) b) AS bulks,
       (SELECT json_build_array(l.term, l.node, c.at, (SELECT count(*) FROM sereno.node n WHERE n.left_at IS NULL))::text
          FROM sereno.leadership l, sereno.catalogue c) AS cluster;
