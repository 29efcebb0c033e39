-- Whoever writes rows of these sources waits until what is there has been noted. $1, $2: as above.
SELECT FROM ivr.watermarks WHERE source = ANY ($1) AND table_name = ANY ($2) FOR UPDATE
