-- Attempts that hold what is not theirs any more: `overstays`, a place after they were told to stop, until their function
-- is over; `blocks`, the event loop of their node, which can tell nobody afterwards when that ends it. Replicas of the
-- version before know of neither, and go on as they did.

CREATE TABLE sereno.straggler (
    token           uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('overstays', 'blocks')),
    run_id          bigint NOT NULL,
    job             text NOT NULL,
    attempt         integer NOT NULL,
    schedule_id     bigint,
    concurrency_key text,
    executor        text NOT NULL,
    node            uuid NOT NULL,
    since           timestamptz NOT NULL DEFAULT clock_timestamp(),
    seconds         double precision NOT NULL DEFAULT 0,   -- so far, as last told
    PRIMARY KEY (token, kind)
);
