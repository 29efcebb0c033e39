CREATE INDEX IF NOT EXISTS deleted_at ON ivr.deleted (deleted_at)
