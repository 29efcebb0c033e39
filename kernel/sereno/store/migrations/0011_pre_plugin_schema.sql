-- Plugins' own tables: each in a schema of the plugin, made by numbered files as this one. docs/plugins.md tells how.

CREATE TABLE sereno.plugin_schema (
    name     text PRIMARY KEY,
    plugin   text NOT NULL,                 -- whose it is; another plugin is refused
    fault    text,                          -- why the migration that was tried last failed; null: it did not
    fault_at timestamptz
);

CREATE TABLE sereno.plugin_migration (
    schema     text NOT NULL REFERENCES sereno.plugin_schema ON DELETE CASCADE,
    number     integer NOT NULL,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (schema, number)
);

-- The newest migration that a replica knows of each plugin's schema: a *post* one waits for replicas that do not know it.
ALTER TABLE sereno.node ADD COLUMN plugin_migrations jsonb;   -- null: from before this was told
