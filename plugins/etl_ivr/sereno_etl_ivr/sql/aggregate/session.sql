-- A whole table is never read for a chunk, whatever the statistics of a table say that was just filled.
SET statement_timeout = '1h'; SET enable_nestloop = on; SET plan_cache_mode = auto
