-- {table}: the quoted name of a partition that is to be dropped: nothing comes into it from here on.
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE
