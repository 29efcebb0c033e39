-- Adds wide columns that whoever writes a row fills too, whatever version it is.
ALTER TABLE ivr.calls ADD COLUMN IF NOT EXISTS duration_wide numeric, ADD COLUMN IF NOT EXISTS billsec_wide numeric;
CREATE OR REPLACE FUNCTION ivr.widen_call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.duration_wide := NEW.duration;
  NEW.billsec_wide := NEW.billsec;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER widen_call BEFORE INSERT OR UPDATE ON ivr.calls
  FOR EACH ROW EXECUTE FUNCTION ivr.widen_call();
CREATE TABLE IF NOT EXISTS ivr.widening (source text, position bigint, content uuid, ordinal integer);
