SELECT to_regclass('cleanup.tally') IS NOT NULL
