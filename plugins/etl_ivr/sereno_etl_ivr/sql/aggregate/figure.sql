-- {column}: a text that should be a number of seconds; what stands behind a bar belongs to the next.
CASE WHEN split_part({column}, '|', 1) ~ '^[0-9]{{1,8}}(\.[0-9]{{1,6}})?$' THEN split_part({column}, '|', 1)::numeric END
