-- $1: the source. $2: the table. $3: this run's token. Returns where the watermark stands.
INSERT INTO ivr.watermarks AS held (source, table_name, holder) VALUES ($1, $2, $3)
ON CONFLICT (source, table_name) DO UPDATE SET holder = excluded.holder
RETURNING held.position, held.settled
