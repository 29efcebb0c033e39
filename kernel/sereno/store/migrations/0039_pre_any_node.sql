-- What a node can be handed (ADR 33). A replica of the version before offers nothing, and is handed nothing.

ALTER TABLE sereno.node
    ADD COLUMN places   jsonb,    -- attempts at once, by executor; null: it is handed nothing
    ADD COLUMN labels   text[],
    ADD COLUMN declared jsonb;    -- a digest of each job that its code declares

-- What was handed over and is not claimed: never many, so that it costs nothing where nothing is.
CREATE INDEX IF NOT EXISTS run_handed ON sereno.run (node) WHERE state = 'queued' AND node IS NOT NULL;
