-- Slots and runs counted by spans of time, so that a picture of them costs what lies in it and not what is kept.

-- name: count_slots
-- $1 job, $2 marks in the order of time: span n is from the n-th to before the next, $3 at most of each schedule, the newest first.
-- By span and verdict how many slots; ranges as they are, without a span, as they may touch several. `since`: what is before it
-- was not looked at, of a schedule of more than $3; null: all was.
WITH own AS MATERIALIZED (
    SELECT w.schedule_id, ($2::timestamptz[])[1] AS first, ($2)[cardinality($2)] AS until
      FROM sereno.watermark w WHERE w.job = $1 AND w.settled_to >= ($2)[1]
), seen AS MATERIALIZED (
    SELECT w.schedule_id, o.slot, o.verdict
      FROM own w, LATERAL (SELECT s.slot, s.verdict FROM sereno.slot s
                            WHERE s.schedule_id = w.schedule_id AND s.slot >= w.first AND s.slot < w.until
                            ORDER BY s.slot DESC LIMIT $3) AS o
), filled AS MATERIALIZED (
    SELECT w.schedule_id, b.slot
      FROM own w, LATERAL (SELECT f.slot FROM sereno.backfilled f
                            WHERE f.schedule_id = w.schedule_id AND f.slot >= w.first AND f.slot < w.until
                            ORDER BY f.slot DESC LIMIT $3) AS b
), reached AS (
    SELECT max(e.oldest) AS since
      FROM (SELECT min(slot) AS oldest FROM seen GROUP BY schedule_id HAVING count(*) >= $3
            UNION ALL
            SELECT min(slot) FROM filled GROUP BY schedule_id HAVING count(*) >= $3) AS e
)
SELECT c.span, c.verdict, c.slots, c.first_slot, c.last_slot, r.since
  FROM reached r LEFT JOIN LATERAL (
       SELECT width_bucket(s.slot, $2) AS span, s.verdict, count(*) AS slots, NULL::timestamptz AS first_slot, NULL::timestamptz AS last_slot
         FROM seen s WHERE (s.slot >= r.since) IS NOT FALSE GROUP BY 1, 2
       UNION ALL
       SELECT width_bucket(f.slot, $2), 'backfilled', count(*), NULL, NULL
         FROM filled f WHERE (f.slot >= r.since) IS NOT FALSE GROUP BY 1
       UNION ALL
       SELECT NULL, g.verdict, g.slots, g.first_slot, g.last_slot
         FROM own w, LATERAL (SELECT * FROM sereno.slot_range a
                               WHERE a.schedule_id = w.schedule_id AND a.first_slot < w.until AND a.last_slot >= w.first
                               ORDER BY a.first_slot DESC LIMIT $3) AS g) AS c ON true;

-- name: ended_findable
-- Whether runs are found by when they ended: where the table was large, that index is a person's to make.
SELECT coalesce((SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass('sereno.run_finished')), false);

-- name: count_ended
-- $1 and $2 from when and before when, for each span, $3 jobs, null: all, $4 so many of each span are looked at, the newest first. How
-- many runs ended there in which state, `pruned`: of those that are kept no more, by the quarters of an hour that begin in it.
SELECT m.span, c.state, c.runs, c.looked, c.pruned
  FROM unnest($1::timestamptz[], $2::timestamptz[]) WITH ORDINALITY AS m (begins, ends, span), LATERAL (
       SELECT e.state, count(*) FILTER (WHERE $3::text[] IS NULL OR e.job = ANY ($3)) AS runs, count(*) AS looked, false AS pruned
         FROM (SELECT r.state, r.job FROM sereno.run r WHERE r.finished_at >= m.begins AND r.finished_at < m.ends
                ORDER BY r.finished_at DESC LIMIT $4) AS e
        GROUP BY e.state
       UNION ALL
       SELECT t.state, sum(t.runs)::bigint, 0, true
         FROM sereno.run_tally t
        WHERE t.quarter >= m.begins AND t.quarter < m.ends AND ($3 IS NULL OR t.job = ANY ($3)) GROUP BY t.state) AS c;
