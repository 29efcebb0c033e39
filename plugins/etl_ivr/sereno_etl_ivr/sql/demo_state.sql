SELECT clock_timestamp() AS now, coalesce(max(sequence), 0) AS last FROM demo_pbx.cdr
