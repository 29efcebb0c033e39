SELECT to_regclass('ivr.schema_steps') IS NOT NULL
