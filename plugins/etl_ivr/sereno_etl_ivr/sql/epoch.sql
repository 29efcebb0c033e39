-- {column}: a uniqueid.
to_timestamp(substring({column} FROM '(?:^|-)([0-9]{{9,10}})\.[0-9]+$')::double precision)
