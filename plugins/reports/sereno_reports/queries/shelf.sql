-- name: add_report
-- $1 name, $2 day, $3 zone, $4 params_hash, $5 revision, $6 partial, $7 html, $8 csv, $9 figures, $10 look,
-- $11 recipient. A revision that exists is of a period that was not over, or says the same in other words:
-- it is written over.
INSERT INTO sereno_reports.report AS kept
  (name, day, zone, params_hash, revision, partial, html, csv, figures, look, recipient)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (name, day, params_hash, revision) DO UPDATE
SET partial = excluded.partial, html = excluded.html, csv = excluded.csv, figures = excluded.figures,
    look = excluded.look, created_at = clock_timestamp();

-- name: adopt
-- Reports of earlier versions, which told choices of text apart too, become revisions of one report of
-- the day, in the order in which they were made. $1: zones. $2: the params_hash of each.
UPDATE sereno_reports.report AS kept
SET params_hash = placed.params_hash, revision = placed.revision, look = '{}'
FROM (
  SELECT old.id, chosen.params_hash,
    row_number() OVER (PARTITION BY old.name, old.day, old.zone ORDER BY old.created_at, old.id) + coalesce((
      SELECT max(revision) FROM sereno_reports.report AS other
      WHERE other.name = old.name AND other.day = old.day AND other.params_hash = chosen.params_hash
    ), 0) AS revision
  FROM sereno_reports.report AS old
  JOIN unnest($1::text[], $2::text[]) AS chosen (zone, params_hash) USING (zone)
  WHERE old.look IS NULL
) AS placed
WHERE kept.id = placed.id;

-- name: exists
-- $1: the name of a table.
SELECT to_regclass($1);

-- name: get_report
-- $1 name, $2 day, $3 revision or NULL for the newest, $4 how its params_hash begins, $5 the recipient or
-- NULL; the one made last where several are left.
SELECT id, name, day, zone, params_hash, recipient, revision, partial, created_at, html, csv, figures, look
FROM sereno_reports.report
WHERE name = $1 AND day = $2 AND ($3::int IS NULL OR revision = $3) AND starts_with(params_hash, $4)
  AND ($5::text IS NULL OR recipient = $5)
ORDER BY created_at DESC, revision DESC
LIMIT 1;

-- name: list_reports
-- $1: at most so many. $2: a name, or NULL. The newest revision of each report, the newest day first.
SELECT * FROM (
  SELECT DISTINCT ON (name, day, params_hash)
    id, name, day, zone, params_hash, recipient, revision, partial, created_at, figures, look
  FROM sereno_reports.report
  WHERE $2::text IS NULL OR name = $2
  ORDER BY name, day, params_hash, revision DESC
) AS newest
ORDER BY day DESC, created_at DESC
LIMIT $1;

-- name: lock_shelf
-- $1: what is being written; two runs that write the same wait for one another.
SELECT pg_advisory_xact_lock(hashtextextended('sereno_reports ' || $1, 0));

-- name: newest_revision
-- $1 name, $2 day, $3 params_hash, $4 figures, $5 look: the newest revision, whether it says the same of its
-- period, and whether it is the same in all that is written.
SELECT revision, partial, figures - 'context' = $4::jsonb - 'context' AS same,
  figures = $4::jsonb AND look IS NOT DISTINCT FROM $5::jsonb AS equal
FROM sereno_reports.report
WHERE name = $1 AND day = $2 AND params_hash = $3
ORDER BY revision DESC
LIMIT 1;

-- name: old_zones
-- The zones of reports that an earlier version made.
SELECT DISTINCT zone FROM sereno_reports.report WHERE look IS NULL;
