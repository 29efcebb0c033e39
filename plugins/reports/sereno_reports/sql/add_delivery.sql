-- $1 name, $2 day, $3 params_hash, $4 revision, $5 channels, $6 the address of each, $7 the message id of each.
INSERT INTO sereno_reports.delivery (name, day, params_hash, revision, channel, address, message_id)
SELECT $1, $2, $3, $4, * FROM unnest($5::text[], $6::text[], $7::text[])
ON CONFLICT DO NOTHING
