-- $1: the business's zone, in which SQL of reports sees days and hours.
SELECT set_config('TimeZone', $1, true), set_config('statement_timeout', '5min', true),
       set_config('jit', 'off', true)
