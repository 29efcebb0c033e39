-- $1: seconds of the level. $2: seconds of a short abandon. $3: an agent's channel. $4: the context of an outbound call.
INSERT INTO pg_temp.rule VALUES ($1, $2, $3, $4)
