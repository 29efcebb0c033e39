-- What jobs have to say to people, kept whether anybody carries it or not. Replicas of the version before write none, and
-- must send none either, as they cannot read it: its rows in `notification` are `queued` where theirs are `waiting`.

CREATE TABLE sereno.message (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token     uuid NOT NULL UNIQUE,              -- its Message-ID, made where it was said
    run_id    bigint NOT NULL,
    attempt   integer NOT NULL,
    job       text NOT NULL,
    severity  text NOT NULL,
    message   jsonb NOT NULL,
    said_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    routed_at timestamptz,                       -- when it was given to those who carry it
    carriers  integer NOT NULL DEFAULT 0         -- so many; once it is routed, 0: nobody hears it
);
CREATE INDEX message_to_route ON sereno.message (id) WHERE routed_at IS NULL;
CREATE INDEX message_said ON sereno.message (said_at);

CREATE TABLE sereno.message_attachment (
    message_id bigint NOT NULL REFERENCES sereno.message ON DELETE CASCADE,
    position   integer NOT NULL,
    name       text NOT NULL,
    media_type text NOT NULL,
    data       bytea NOT NULL,
    PRIMARY KEY (message_id, position)
);

-- 'unknown': it may have arrived. The check is of rows to come: those that are there fit the narrower one.
ALTER TABLE sereno.notification
    ADD COLUMN message_id bigint REFERENCES sereno.message ON DELETE CASCADE,
    ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid(),
    DROP CONSTRAINT notification_state_check,
    ADD CONSTRAINT notification_state_check
        CHECK (state IN ('waiting', 'queued', 'sent', 'failed', 'dropped', 'unknown')) NOT VALID;
CREATE INDEX notification_queued ON sereno.notification (due_at) WHERE state = 'queued';
CREATE INDEX notification_message ON sereno.notification (message_id) WHERE message_id IS NOT NULL;
