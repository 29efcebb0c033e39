SELECT to_regclass('cleanup.check_result') IS NOT NULL
