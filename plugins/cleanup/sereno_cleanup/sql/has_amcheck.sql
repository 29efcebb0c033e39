SELECT to_regprocedure('bt_index_check(regclass, boolean)') IS NOT NULL
