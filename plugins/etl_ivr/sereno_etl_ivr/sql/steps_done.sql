SELECT name FROM ivr.schema_steps
