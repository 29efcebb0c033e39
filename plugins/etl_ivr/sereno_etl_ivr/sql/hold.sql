-- $1: the source. $2: the table. $3: this run's token. $4: the zone of positions. Returns where the
-- watermark stands.
INSERT INTO ivr.watermarks AS held (source, table_name, holder, zone) VALUES ($1, $2, $3, $4)
ON CONFLICT (source, table_name) DO UPDATE SET holder = excluded.holder, zone = excluded.zone
RETURNING held.position, held.settled
