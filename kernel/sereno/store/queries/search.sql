-- What people look for among runs and their log lines. Each walks an index from a place on, reads so many rows at most, and
-- says how far it came: so a page costs the same however much is kept, whatever it is that hardly any run has.

-- name: runs_walk
-- $1 to older ones, else to newer ones, $2 and $3 between these numbers, $4 jobs, null: all, $5 states, null: all, $6 how
-- many are looked at, $7 how many are wanted, and of what is left of them: $8 causes, $9 schedules, $10 nodes, $11 who
-- asked, with or without the host, $12 and $13 queued since and before, $14 params that are among theirs, $15 text in
-- the error, $16 jobs, $17 jobs of which it may not be asked (each null: any). $18 by state: 'over' for those that ended
-- badly, 'live' for queued and running ones, 'both', or null for the way of all runs. $19 a tag, null: any: by it runs that have it
-- themselves are found beside those of $4. $20 tags that each has, itself, by its job or by its schedule, as JSON: tag, jobs, schedules.
-- What each way gives is in the order of an index: a job's runs by (job, id), of which pairs are compared so that the
-- planner takes it. Runs that wait or run are few where they are asked for by state, and sorted. The way of all runs is a
-- stretch of the table, and read as one: not run by run, which takes four times as long.
WITH stretch AS MATERIALIZED (
    SELECT count(*) AS walked, CASE WHEN $1 THEN min(w.id) ELSE max(w.id) END AS last
      FROM ((SELECT a.id FROM sereno.run a
              WHERE $1 AND $18::text IS NULL AND $4::text[] IS NULL AND a.id > $2 AND a.id < $3 ORDER BY a.id DESC LIMIT $6)
            UNION ALL
            (SELECT a.id FROM sereno.run a
              WHERE NOT $1 AND $18 IS NULL AND $4 IS NULL AND a.id > $2 AND a.id < $3 ORDER BY a.id LIMIT $6)) AS w
), way AS MATERIALIZED (
    SELECT w.id
      FROM ((SELECT r.id FROM unnest($4) AS n (job), LATERAL (
                    SELECT j.id FROM sereno.run j WHERE (j.job, j.id) > (n.job, $2) AND (j.job, j.id) < (n.job, $3)
                     ORDER BY j.job DESC, j.id DESC LIMIT $6) AS r WHERE $1 AND $18 IS NULL)
            UNION ALL
            (SELECT r.id FROM unnest($4) AS n (job), LATERAL (
                    SELECT j.id FROM sereno.run j WHERE (j.job, j.id) > (n.job, $2) AND (j.job, j.id) < (n.job, $3)
                     ORDER BY j.job, j.id LIMIT $6) AS r WHERE NOT $1 AND $18 IS NULL)
            UNION ALL
            (SELECT b.id FROM sereno.run b
              WHERE $1 AND $18 IN ('over', 'both') AND $4 IS NULL AND b.id > $2 AND b.id < $3
                AND b.state IN ('failed', 'timed_out', 'cancelled', 'lost') ORDER BY b.id DESC LIMIT $6)
            UNION ALL
            (SELECT b.id FROM sereno.run b
              WHERE NOT $1 AND $18 IN ('over', 'both') AND $4 IS NULL AND b.id > $2 AND b.id < $3
                AND b.state IN ('failed', 'timed_out', 'cancelled', 'lost') ORDER BY b.id LIMIT $6)
            UNION ALL
            (SELECT r.id FROM unnest($4) AS n (job), LATERAL (
                    SELECT c.id FROM sereno.run c WHERE (c.job, c.id) > (n.job, $2) AND (c.job, c.id) < (n.job, $3)
                       AND c.state IN ('failed', 'timed_out', 'cancelled', 'lost')
                     ORDER BY c.job DESC, c.id DESC LIMIT $6) AS r WHERE $1 AND $18 IN ('over', 'both'))
            UNION ALL
            (SELECT r.id FROM unnest($4) AS n (job), LATERAL (
                    SELECT c.id FROM sereno.run c WHERE (c.job, c.id) > (n.job, $2) AND (c.job, c.id) < (n.job, $3)
                       AND c.state IN ('failed', 'timed_out', 'cancelled', 'lost')
                     ORDER BY c.job, c.id LIMIT $6) AS r WHERE NOT $1 AND $18 IN ('over', 'both'))
            UNION ALL
            (SELECT t.run_id FROM sereno.run_tag t
              WHERE $1 AND $18 IS NULL AND t.tag = $19::text AND t.run_id > $2 AND t.run_id < $3
              ORDER BY t.run_id DESC LIMIT $6)
            UNION ALL
            (SELECT t.run_id FROM sereno.run_tag t
              WHERE NOT $1 AND $18 IS NULL AND t.tag = $19 AND t.run_id > $2 AND t.run_id < $3
              ORDER BY t.run_id LIMIT $6)
            UNION ALL
            (SELECT q.id FROM sereno.run q
              WHERE $18 IN ('live', 'both') AND q.state = 'queued' AND 'queued' = ANY ($5) AND q.id > $2 AND q.id < $3
                AND ($4 IS NULL OR q.job = ANY ($4)) ORDER BY CASE WHEN $1 THEN -q.id ELSE q.id END LIMIT $6)
            UNION ALL
            (SELECT x.id FROM sereno.run x
              WHERE $18 IN ('live', 'both') AND x.state = 'running' AND 'running' = ANY ($5) AND x.id > $2 AND x.id < $3
                AND ($4 IS NULL OR x.job = ANY ($4)) ORDER BY CASE WHEN $1 THEN -x.id ELSE x.id END LIMIT $6)) AS w
     ORDER BY CASE WHEN $1 THEN -w.id ELSE w.id END LIMIT $6
), hit AS (   -- one after another, by the primary key, whatever the planner believes
    SELECT r.id
      FROM (SELECT r.*
              FROM (SELECT id FROM way GROUP BY id ORDER BY CASE WHEN $1 THEN -id ELSE id END) AS w,
                   LATERAL (SELECT * FROM sereno.run r WHERE r.id = w.id OFFSET 0) AS r
             WHERE NOT ($18 IS NULL AND $4 IS NULL)
            UNION ALL
            (SELECT a.* FROM sereno.run a
              WHERE $1 AND $18 IS NULL AND $4 IS NULL AND a.id >= (SELECT last FROM stretch) AND a.id < $3 ORDER BY a.id DESC)
            UNION ALL
            (SELECT a.* FROM sereno.run a
              WHERE NOT $1 AND $18 IS NULL AND $4 IS NULL AND a.id > $2 AND a.id <= (SELECT last FROM stretch) ORDER BY a.id)) AS r
     WHERE ($5::text[] IS NULL OR r.state = ANY ($5))
       AND ($8::text[] IS NULL OR r.cause = ANY ($8))
       AND ($9::bigint[] IS NULL OR r.schedule_id = ANY ($9))
       AND ($10::uuid[] IS NULL OR r.node = ANY ($10))
       AND ($11::text IS NULL OR r.requested_by = $11 OR split_part(r.requested_by, '@', 1) = $11)
       AND ($12::timestamptz IS NULL OR r.queued_at >= $12)
       AND ($13::timestamptz IS NULL OR r.queued_at < $13)
       AND ($14::jsonb IS NULL OR r.params @> $14)
       AND ($15::text IS NULL OR strpos(lower(r.error), lower($15)) > 0)
       AND ($16::text[] IS NULL OR r.job = ANY ($16))
       AND ($17::text[] IS NULL OR r.job <> ALL ($17))
       AND ($20::jsonb IS NULL OR NOT EXISTS (
              SELECT 1 FROM jsonb_to_recordset($20) AS n (tag text, jobs jsonb, schedules jsonb)
               WHERE NOT (n.jobs ? r.job) AND NOT coalesce(n.tag = ANY (r.tags), false)
                 AND NOT coalesce(n.schedules @> to_jsonb(r.schedule_id), false)))
     LIMIT $7
), reached AS (
    SELECT s.walked + count(w.id) AS walked, coalesce(s.last, CASE WHEN $1 THEN min(w.id) ELSE max(w.id) END) AS last
      FROM stretch s LEFT JOIN way w ON true GROUP BY s.walked, s.last
)
SELECT g.walked, g.last, (SELECT r.queued_at FROM sereno.run r WHERE r.id = g.last) AS looked_to, ARRAY(SELECT id FROM hit) AS found
  FROM reached g;

-- name: run_number_at
-- $1 instant. The first run's number that was queued then or later, as numbers grow with time; null where there is none.
WITH RECURSIVE half AS (
    SELECT (SELECT min(id) FROM sereno.run) AS low, (SELECT max(id) + 1 FROM sereno.run) AS high
    UNION ALL
    SELECT CASE WHEN r.queued_at < $1 THEN r.id + 1 ELSE h.low END, CASE WHEN r.queued_at < $1 THEN h.high ELSE m.id END
      FROM half h, LATERAL (SELECT h.low + (h.high - h.low) / 2 AS id) AS m,
           LATERAL (SELECT a.id, a.queued_at FROM sereno.run a WHERE a.id >= m.id ORDER BY a.id LIMIT 1) AS r
     WHERE h.low < h.high
)
SELECT low FROM half WHERE low >= high;

-- name: runs_queued_few
-- $1 how many are few. Whether no more runs than that wait.
SELECT count(*) <= $1 FROM (SELECT 1 FROM sereno.run WHERE state = 'queued' LIMIT $1 + 1) AS q;

-- name: search_jobs
-- The jobs there are or were, and which of their params are secret.
SELECT name, secrets FROM sereno.job ORDER BY name;

-- name: search_tagged
-- $1 tags. Of each the jobs and schedules that have it, those schedules' jobs, and whether a run has it itself.
SELECT t.tag, ARRAY(SELECT j.name FROM sereno.job j WHERE t.tag = ANY (j.tags) ORDER BY 1) AS jobs,
       s.ids AS schedules, s.jobs AS jobs_of_schedules,
       EXISTS (SELECT 1 FROM sereno.run_tag r WHERE r.tag = t.tag) AS own
  FROM unnest($1::text[]) WITH ORDINALITY AS t (tag, n),
       LATERAL (SELECT coalesce(array_agg(s.id), '{}') AS ids, coalesce(array_agg(DISTINCT s.job), '{}') AS jobs
                  FROM sereno.schedule s WHERE (s.declared ? 'tags' OR s.overrides ? 'tags')
                   AND coalesce(s.overrides -> 'tags', s.declared -> 'tags') ? t.tag) AS s
 ORDER BY t.n;

-- name: search_schedules
-- $1 a schedule's name. Its number and job.
SELECT id, job FROM sereno.schedule WHERE name = $1;

-- name: search_nodes
-- $1 a label, or the beginning of an id. The replicas that it names.
SELECT id FROM sereno.node WHERE label = $1 OR (length($1) >= 8 AND starts_with(id::text, $1));

-- name: search_labels
-- The labels of the replicas of late.
SELECT label FROM sereno.node ORDER BY seen_at DESC LIMIT 1000;

-- name: lines_walk
-- $1 to older ones, else to newer ones, $2 how many are looked at, $3 how many are wanted, $4 to $7 from this place on:
-- instant, run, attempt, line, $8 and $9 said since and before, and of what is left of them: $10 levels, $11 jobs, $12 text
-- (each null: any). Lines of all runs in the order in which they were said.
WITH way AS MATERIALIZED (
    SELECT w.*
      FROM ((SELECT l.at, l.run_id, l.attempt, l.line FROM sereno.run_log l
              WHERE $1 AND l.at >= $8 AND l.at <= $4 AND (l.at, l.run_id, l.attempt, l.line) < ($4, $5, $6, $7)
              ORDER BY l.at DESC, l.run_id DESC, l.attempt DESC, l.line DESC LIMIT $2)
            UNION ALL
            (SELECT l.at, l.run_id, l.attempt, l.line FROM sereno.run_log l
              WHERE NOT $1 AND l.at >= $4 AND l.at < $9 AND (l.at, l.run_id, l.attempt, l.line) > ($4, $5, $6, $7)
              ORDER BY l.at, l.run_id, l.attempt, l.line LIMIT $2)) AS w
), turn AS (
    SELECT w.*, row_number() OVER (ORDER BY w.at, w.run_id, w.attempt, w.line) AS n, count(*) OVER () AS walked FROM way w
), hit AS (
    SELECT t.n, l.run_id, r.job, l.attempt, l.line, l.at, l.level, l.logger, l.message
      FROM (SELECT * FROM turn ORDER BY CASE WHEN $1 THEN -n ELSE n END) AS t,
           LATERAL (SELECT * FROM sereno.run_log l
                     WHERE l.run_id = t.run_id AND l.attempt = t.attempt AND l.line = t.line OFFSET 0) AS l,
           LATERAL (SELECT r.job FROM sereno.run r WHERE r.id = t.run_id OFFSET 0) AS r
     WHERE ($10::text[] IS NULL OR l.level = ANY ($10))
       AND ($11::text[] IS NULL OR r.job = ANY ($11))
       AND ($12::text IS NULL OR strpos(lower(l.message), lower($12)) > 0)
     LIMIT $3
)
SELECT t.walked, t.at AS last_at, t.run_id AS last_run, t.attempt AS last_attempt, t.line AS last_line, h.*
  FROM (SELECT * FROM turn ORDER BY CASE WHEN $1 THEN n ELSE -n END LIMIT 1) AS t
  LEFT JOIN hit h ON true
 ORDER BY CASE WHEN $1 THEN -h.n ELSE h.n END;
