-- $1 text: ms. How long a statement of a check may take, and how little it may wait for locks.
SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', '5s', true)
