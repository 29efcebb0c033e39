-- $1 name, $2 day, $3 zone, $4 params_hash, $5 revision, $6 partial, $7 html, $8 csv, $9 figures.
-- A revision that exists is that of a day which was not over: it is written over.
INSERT INTO sereno_reports.report AS kept
  (name, day, zone, params_hash, revision, partial, html, csv, figures)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name, day, params_hash, revision) DO UPDATE
SET partial = excluded.partial, html = excluded.html, csv = excluded.csv, figures = excluded.figures,
    created_at = clock_timestamp()
WHERE kept.partial
