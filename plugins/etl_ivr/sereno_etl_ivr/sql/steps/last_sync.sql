-- What the last sync that read anything read, and what of it could not be loaded: from its first row.
ALTER TABLE ivr.watermarks
  ADD COLUMN IF NOT EXISTS last_read bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS last_rejected bigint NOT NULL DEFAULT 0
