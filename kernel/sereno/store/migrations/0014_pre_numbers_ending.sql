-- Numbers of ours that come to their end: fewer than a thousand million are left, of small ones a hundredth. Somebody has
-- set a sequence, or has written a row, far beyond the others. What this role may not read of them is not told.
CREATE FUNCTION sereno.numbers_ending(OUT number text, OUT sequence text, OUT value bigint, OUT most bigint)
RETURNS SETOF record LANGUAGE sql STABLE AS $$
    SELECT c.relname || '.' || a.attname, format('%I.%I', p.schemaname, p.sequencename), p.last_value, p.max_value
      FROM pg_sequences p
      JOIN pg_class s ON s.relname = p.sequencename AND s.relnamespace = 'sereno'::regnamespace AND s.relkind = 'S'
      JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                      AND d.deptype IN ('a', 'i')
      JOIN pg_class c ON c.oid = d.refobjid
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
     WHERE p.schemaname = 'sereno' AND p.increment_by > 0
       AND p.max_value - p.last_value < least(1000000000, p.max_value / 100)
     UNION ALL
    SELECT 'leadership.term', NULL, l.term, 9223372036854775807
      FROM sereno.leadership l WHERE l.term > 9223372036854775807 - 1000000000
     ORDER BY 1
$$;
