SELECT max(version) FROM ivr.schema_version
