-- What the chunk made anew.
SELECT (SELECT count(*) FROM pg_temp.affected) AS calls, (SELECT count(*) FROM pg_temp.stale) AS quarters
