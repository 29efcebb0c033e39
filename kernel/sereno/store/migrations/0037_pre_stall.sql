-- Runs at work that have said nothing for their `stalled_after`, as the node that works on them has found. A row counts only
-- while its run is at work with that token: what a node leaves behind as it dies shows nothing, and goes with the next note.

CREATE TABLE sereno.stall (
    token  uuid PRIMARY KEY,
    run_id bigint NOT NULL,
    since  timestamptz NOT NULL      -- when it said something last
);
