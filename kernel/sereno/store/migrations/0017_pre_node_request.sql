-- What only the node that works on a run can tell: asked by a row, answered in it. Replicas of the version before answer
-- none, and whoever asks hears so after its patience. Rows are forgotten after an hour.

CREATE TABLE sereno.node_request (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id       bigint NOT NULL REFERENCES sereno.run ON DELETE CASCADE,
    verb         text NOT NULL CHECK (verb IN ('stack')),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at  timestamptz,
    answer       text
);
CREATE INDEX node_request_open ON sereno.node_request (run_id) WHERE answered_at IS NULL;
