-- $1 checks. The newest result of each.
SELECT DISTINCT ON ("check") "check", at, ok FROM cleanup.check_result
 WHERE "check" = ANY($1::text[]) ORDER BY "check", at DESC
