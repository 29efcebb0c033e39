-- sql_mode: impossible dates may be compared with. max_error_count: warnings are counted, not sent.
SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', max_error_count = 0,
  group_concat_max_len = {length}, net_write_timeout = 600
