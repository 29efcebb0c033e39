-- Facts are found by keys that the statistics of an empty or a fast-growing table know nothing of.
SET statement_timeout = '5min'; SET enable_seqscan = on; SET enable_nestloop = on; SET plan_cache_mode = auto
