-- The zones of reports that an earlier version made.
SELECT DISTINCT zone FROM sereno_reports.report WHERE look IS NULL
