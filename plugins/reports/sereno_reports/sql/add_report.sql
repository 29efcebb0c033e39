-- $1 name, $2 day, $3 zone, $4 params_hash, $5 revision, $6 partial, $7 html, $8 csv, $9 figures, $10 look,
-- $11 recipient. A revision that exists is of a period that was not over, or says the same in other words:
-- it is written over.
INSERT INTO sereno_reports.report AS kept
  (name, day, zone, params_hash, revision, partial, html, csv, figures, look, recipient)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (name, day, params_hash, revision) DO UPDATE
SET partial = excluded.partial, html = excluded.html, csv = excluded.csv, figures = excluded.figures,
    look = excluded.look, created_at = clock_timestamp()
