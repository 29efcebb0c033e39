-- The days on which the calls of the page began.
SELECT DISTINCT date_trunc('day', {cursor}) FROM pg_temp.page WHERE {cursor} IS NOT NULL
