-- $1 interval. What is older goes, but for the newest of each check.
DELETE FROM cleanup.check_result r WHERE r.at < clock_timestamp() - $1::interval
   AND r.at < (SELECT max(n.at) FROM cleanup.check_result n WHERE n."check" = r."check")
