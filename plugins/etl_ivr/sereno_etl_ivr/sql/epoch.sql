to_timestamp(substring(page.uniqueid FROM '(?:^|-)([0-9]{9,10})\.[0-9]+$')::double precision)
