-- What the database did not take of what the leader registered last, by plugin: {"why": ..., "mark": of its declarations}.
-- A leader of the version before leaves it as it is.

ALTER TABLE sereno.catalogue ADD COLUMN refused jsonb NOT NULL DEFAULT '{}';
