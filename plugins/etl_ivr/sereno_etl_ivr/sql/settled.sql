-- $1: the source. $2: the table.
SELECT settled FROM ivr.watermarks WHERE source = $1 AND table_name = $2
