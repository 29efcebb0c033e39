-- Forgets names that settings, or a table of the source, give no more. $1: the source. $2: the kind. $3: ids that they
-- give. $4: the origin.
DELETE FROM ivr.names WHERE source = $1 AND kind = $2 AND origin = $4 AND NOT id = ANY ($3::text[])
