-- Puts the wide columns in the place of the narrow ones.
LOCK TABLE ivr.calls IN ACCESS EXCLUSIVE MODE;
DROP VIEW ivr.whole_calls;
DROP TRIGGER widen_call ON ivr.calls;
DROP FUNCTION ivr.widen_call();
ALTER TABLE ivr.calls DROP COLUMN duration, DROP COLUMN billsec;
ALTER TABLE ivr.calls RENAME COLUMN duration_wide TO duration;
ALTER TABLE ivr.calls RENAME COLUMN billsec_wide TO billsec;
DROP TABLE ivr.widening;
{whole_calls}
