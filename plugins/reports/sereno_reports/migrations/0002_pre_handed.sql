-- Deliveries that the kernel's messages carry: 'queued' until they are handed to it, where the version before looks for
-- 'waiting'; `route`: to whom the routes of the configuration name. The checks are of rows to come.
ALTER TABLE sereno_reports.delivery
  DROP CONSTRAINT IF EXISTS delivery_channel_check,
  ADD CONSTRAINT delivery_channel_check CHECK (channel IN ('folder', 'mail', 'route')) NOT VALID,
  DROP CONSTRAINT IF EXISTS delivery_state_check,
  ADD CONSTRAINT delivery_state_check
    CHECK (state IN ('waiting', 'queued', 'sending', 'handed', 'sent', 'failed', 'unknown')) NOT VALID;
CREATE INDEX IF NOT EXISTS delivery_queued ON sereno_reports.delivery (id) WHERE state = 'queued';
