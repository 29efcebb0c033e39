(SELECT sum(num_nulls({cells})) FROM pg_temp.page)
