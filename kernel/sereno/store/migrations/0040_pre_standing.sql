-- What people ask of replicas: to take the lead, to take no part in it, and of all of them to rest. Replicas of the version
-- before hear none of it.

CREATE TABLE sereno.node_order (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node         uuid NOT NULL REFERENCES sereno.node ON DELETE CASCADE,
    verb         text NOT NULL CHECK (verb IN ('lead', 'drain', 'undrain')),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX node_order_node ON sereno.node_order (node, id);

CREATE TABLE sereno.maintenance (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason     text NOT NULL CHECK (reason <> ''),
    begun_by   text NOT NULL,
    begun_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    until      timestamptz,
    ended_by   text,
    ended_at   timestamptz
);
CREATE UNIQUE INDEX maintenance_open ON sereno.maintenance ((true)) WHERE ended_at IS NULL;
