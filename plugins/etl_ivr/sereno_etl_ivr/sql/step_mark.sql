-- $1: the step.
INSERT INTO ivr.schema_steps (name) VALUES ($1) ON CONFLICT DO NOTHING
