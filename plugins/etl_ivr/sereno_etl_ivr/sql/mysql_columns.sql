-- {schema}, {table}: literals.
SELECT column_name, data_type, is_nullable, character_set_name, datetime_precision, numeric_scale
FROM information_schema.columns
WHERE table_schema = {schema} AND table_name = {table}
ORDER BY ordinal_position
