DELETE FROM pg_temp.page
