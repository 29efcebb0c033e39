-- $1: the version.
WITH cleared AS (DELETE FROM ivr.schema_version)
INSERT INTO ivr.schema_version (version) VALUES ($1)
