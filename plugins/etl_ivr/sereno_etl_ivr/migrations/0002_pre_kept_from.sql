-- From when on there is what reports ask: NULL for all. Until now facts went with their calls.
ALTER TABLE ivr.aggregated
  ADD COLUMN IF NOT EXISTS facts_from timestamptz,
  ADD COLUMN IF NOT EXISTS figures_from timestamptz;
UPDATE ivr.aggregated SET facts_from = frozen_before WHERE facts_from IS NULL AND frozen_before IS NOT NULL;
