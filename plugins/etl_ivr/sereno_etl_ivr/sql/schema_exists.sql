SELECT to_regclass('ivr.schema_version') IS NOT NULL
