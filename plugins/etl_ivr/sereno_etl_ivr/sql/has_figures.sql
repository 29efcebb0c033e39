-- Whether this version has made its tables here.
SELECT EXISTS (
  SELECT FROM pg_attribute WHERE attrelid = to_regclass('ivr.watermarks') AND attname = 'last_read'
)
