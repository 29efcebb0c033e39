-- Seconds of a call may have fractions. A table with rows keeps its columns until a source needs others:
-- see target/widening.py.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'ivr.calls'::regclass AND attname = 'duration'
             AND atttypid = 'integer'::regtype)
     AND NOT EXISTS (SELECT FROM ivr.calls) THEN
    DROP VIEW ivr.whole_calls;
    ALTER TABLE ivr.calls ALTER duration TYPE numeric, ALTER billsec TYPE numeric;
    {whole_calls};
  END IF;
END
$$
